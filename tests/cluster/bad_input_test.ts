import assert from "node:assert/strict";
import { INPUT_BYTES_MAX } from "../../lib/protocol/limits.ts";
import { HEADER } from "../../lib/protocol/run.ts";
import {
  broadcastSubject,
  commandSubject,
  DISCOVER,
  hubSubject,
  nodeControlSubject,
} from "../../lib/protocol/subjects.ts";
import { connectFleet } from "../../lib/client/fleet.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { ask, ended, hear, refused } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

Deno.test("what cannot be meant is refused, and the node goes on", async (t) => {
  await using fleet = await startFleet({ nodes: ["n1", "n2"] });
  const { admin } = fleet;
  const run = commandSubject("n1", "task", "run");
  using results = await hear(admin, "xtask.results.*");
  using accepted = await hear(admin, "xtask.events.*.command_accepted");

  await t.step("a payload that is not JSON, or no object", async () => {
    for (const payload of ["{", "not json", "\0", "[]", '"x"', "null", "1", '{"args":["hello"]', '{"args":["a"]}}']) {
      await refused(admin.request(run, payload), "invalid", /input/);
    }
    await refused(admin.request(DISCOVER, "{"), "invalid");
    await refused(admin.request(hubSubject("node", "list"), "{"), "invalid");
  });

  await t.step("fields of a wrong type, and fields that there are not", async () => {
    const inputs = [{ args: "hello" }, { args: [1] }, { args: null }, { argz: [] }, { dir: 1 }, {
      vars: { "A B": "x" },
    }];
    for (const input of inputs) await refused(ask(admin, "n1", "task.run", input), "invalid", /input of task\.run/);
    await refused(ask(admin, "n1", "which.check", { names: [] }), "invalid", /names/);
    await refused(admin.request(hubSubject("command", "list"), '{"limit":0}'), "invalid", /limit/);
    await refused(admin.request(nodeControlSubject("n1", "label"), '{"labels":"x"}'), "invalid", /labels/);
  });

  await t.step("headers that cannot be read", async () => {
    const bad = {
      [HEADER.commandId]: [
        "x",
        "01J",
        "../../etc/passwd",
        "01JAAAAAAAAAAAAAAAAAAAAAAA.x",
        "01jaaaaaaaaaaaaaaaaaaaaaaa",
      ],
      [HEADER.wait]: ["soon", "-1", "1e3", "999999999", ""],
      [HEADER.deadline]: ["tomorrow", "2026-13-01T00:00:00Z", "1700000000"],
    };
    for (const [header, values] of Object.entries(bad)) {
      for (const value of values) {
        await refused(admin.request(run, '{"args":["hello"]}', { headers: { [header]: value } }), "invalid", /header/);
      }
    }
  });

  await t.step("verbs and capabilities that there are not", async () => {
    await refused(admin.request(commandSubject("n1", "task", "fly"), "{}"), "not_found", /list.*run|run.*list/);
    await refused(admin.request(commandSubject("n1", "docker", "ps"), "{}"), "not_found", /offers task/);
    await refused(admin.request(commandSubject("n1", "nope", "run"), "{}"), "not_found");
    await refused(admin.request(commandSubject("n1", "toString", "call"), "{}"), "not_found");
    await refused(admin.request(commandSubject("n1", "task", "constructor"), "{}"), "not_found");
    await refused(
      admin.request(commandSubject("n1", "run", "fly"), JSON.stringify({ id: newCommandId() })),
      "not_found",
    );
    await refused(admin.request(nodeControlSubject("n1", "drain") + "ing", "{}"), "not_found");
    // The server itself lets people publish subjects of four words, and of five that end with their own name.
    await refused(admin.request("xtask.n1.task", "{}"), "forbidden");
    await refused(admin.request("xtask.n1.task.run.now", "{}"), "forbidden");
    await refused(admin.request(hubSubject("fleet", "destroy"), "{}"), "not_found");
    await refused(admin.request(hubSubject("constructor", "name"), "{}"), "not_found");
  });

  await t.step("an input above the limit, by the node; a payload above the server's, before it is sent", async () => {
    const large = JSON.stringify({ args: ["hello", "x".repeat(600_000)] });
    await refused(admin.request(run, large), "invalid", new RegExp(`at most ${INPUT_BYTES_MAX}`));
    await refused(admin.request(broadcastSubject("task", "run"), large), "invalid");
    // Its error names what is too much, and is no longer than an answer may be.
    const named = JSON.stringify({ ["x".repeat(1_000_000)]: 1 });
    await refused(admin.request(hubSubject("node", "list"), named), "invalid");
    const huge = JSON.stringify({ args: ["x".repeat(10_000_000)] });
    await refused(admin.request(run, huge), "invalid", /payload/i);
    assert.equal(ended(await ask(admin, "n1", "task.run", { args: ["hello"] })).state, "succeeded", "still connected");
  });

  await t.step("a selector that cannot be read, by every node that is asked", async () => {
    for (const select of ["", "os=", "=linux", "a b", "os=linux,,", 7]) {
      await refused(admin.request(DISCOVER, JSON.stringify({ select })), "invalid");
      await refused(
        admin.request(broadcastSubject("which", "check"), JSON.stringify({ names: ["sh"], select })),
        "invalid",
      );
    }
  });

  await t.step("a folder that leads out of the node's own, and flags that would", async () => {
    for (const dir of ["..", "../..", "/", "/etc", "src/../../.."]) {
      const result = ended(await ask(admin, "n1", "task.run", { args: ["hello"], dir }));
      assert.equal(result.state, "failed", dir);
      assert.match(result.error?.code ?? "", /^(forbidden|invalid|not_found)$/, dir);
    }
    for (
      const args of [["--dir=/", "hello"], ["-d", "/"], ["--taskfile", "/etc/passwd"], ["--watch", "hello"], ["-g"]]
    ) {
      const result = ended(await ask(admin, "n1", "task.run", { args }));
      assert.deepEqual([result.state, result.error?.code], ["failed", "invalid"], args.join(" "));
    }
  });

  await t.step("a task that there is not fails as Task says, with its own words", async () => {
    const result = ended(await ask(admin, "n1", "task.run", { args: ["no-such-task"] }));
    assert.equal(result.state, "failed");
    assert.notEqual(result.exitCode, 0);
    assert.match(result.output.head, /no-such-task/);
  });

  await t.step("words that a shell would read are only words", async () => {
    const args = ["hello", "X=$(touch pwned)", "--", "; touch pwned", "`touch pwned`", "| touch pwned"];
    assert.equal(ended(await ask(admin, "n1", "task.run", { args })).state, "succeeded");
    await assert.rejects(Deno.stat(`${fleet.node("n1").dir}/pwned`), Deno.errors.NotFound);
  });

  await t.step("nothing that was refused has run or left a trace", async () => {
    const known = () => new Set(accepted.messages.map((message) => JSON.parse(message.text()).command));
    for (const message of results.messages) {
      const { id } = JSON.parse(message.text());
      await until(`${id} to be known as accepted`, () => known().has(id));
    }
    for (const message of accepted.messages) assert.equal(JSON.parse(message.text()).capability, "task");
  });
});

Deno.test("nodes that there are not, and hubs that do not answer, are told apart", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  await using program = await connectFleet({ servers: fleet.url, creds: fleet.up.adminCreds });
  const to = async (node: string) => {
    const { answers } = await program.ask({
      capability: "which",
      verb: "check",
      input: { names: ["sh"] },
      nodes: [node],
    });
    return answers[0]?.error;
  };
  assert.equal(await to("n1"), undefined);
  const missing = await to("n9");
  assert.equal(missing?.code, "not_found");
  assert.match([missing?.message, ...missing?.details ?? []].join("\n"), /There is no node 'n9'\nthere are n1/);
  for (const node of ["a.b", "a b", "*", ">", "n1.>", "", "hub", "broadcast", "N1"]) {
    const error = await to(node);
    assert.equal(error?.code, "invalid", `'${node}' is no node`);
  }
  await fleet.node("n1").agent[Symbol.asyncDispose]();
  await until("the hub to know that it has gone", async () => {
    const away = await to("n1");
    assert.equal(away?.code, "unavailable");
    return /Node 'n1' is away since \d/.test(away?.message ?? "");
  });
  const port = fleet.up.server.port;
  await fleet.up[Symbol.asyncDispose]();
  await refused(connectFleet({ servers: `nats://127.0.0.1:${port}`, creds: fleet.up.adminCreds }), "unavailable");
});
