import assert from "node:assert/strict";
import * as v from "valibot";
import { parseJson } from "../../lib/protocol/parse.ts";
import { CommandRecord } from "../../lib/protocol/run.ts";
import { isTerminal } from "../../lib/protocol/state.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

const Taken = v.object({ id: v.string(), nodes: v.array(v.string()), offline: v.array(v.string()) });
const Refused = v.object({
  error: v.object({ code: v.string(), message: v.string(), details: v.optional(v.array(v.string())) }),
});

Deno.test("what is asked over HTTP runs on nodes, is shown, cancelled and asked again", async (t) => {
  await using fleet = await startFleet({ nodes: ["n1", "n2"] });
  const { url } = fleet.up.http;
  const call = (path: string, body?: unknown) =>
    fetch(`${url}/api/v1${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${fleet.up.token}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const taken = async (path: string, body: unknown) => {
    const answer = await call(path, body);
    const text = await answer.text();
    assert.equal(answer.status, 202, text);
    return parseJson(Taken, text, "answer");
  };
  /** When all of so many runs have ended: the hub hears of one node after the other. */
  const ended = (id: string, count = 1) =>
    until("the command's end", async () => {
      const answer = await call(`/commands/${id}`);
      const text = await answer.text();
      assert.equal(answer.status, 200, text);
      const record = parseJson(CommandRecord, text, "command");
      const runs = Object.values(record.runs);
      return runs.length === count && runs.every(({ state }) => isTerminal(state)) && record;
    });

  await t.step("by the words of a terminal", async () => {
    const { id, nodes } = await taken("/tasks", { command: "xtask task run hello --on all" });
    assert.deepEqual([...nodes].sort(), ["n1", "n2"]);
    const { capability, verb, input, runs } = await ended(id, nodes.length);
    assert.deepEqual([capability, verb, input], ["task", "run", { args: ["hello"] }]);
    assert.deepEqual(Object.values(runs).map(({ state }) => state), ["succeeded", "succeeded"]);
    const again = await taken(`/commands/${id}/retry`, {});
    assert.deepEqual([...again.nodes].sort(), ["n1", "n2"]);
    assert.notEqual(again.id, id);
  });

  await t.step("what was told to have ended can be asked again at once", async () => {
    for (let n = 0; n < 10; n++) {
      const { id, results } = await (await call("/tasks?wait=20000", { command: "task run hello --on all" })).json();
      assert.equal(results.length, 2);
      const { runs } = await (await call(`/commands/${id}`)).json();
      assert.deepEqual([runs.n1?.state, runs.n2?.state], ["succeeded", "succeeded"]);
    }
  });

  await t.step("so that it may move: the hub places it, and the answer tells how it stands", async () => {
    const words = await call("/tasks?wait=20000", { command: "task hello --any all --move" });
    const { id, nodes, moving, results } = await words.json();
    assert.deepEqual([words.status, moving.state, moving.attempt], [200, "succeeded", 1]);
    assert.deepEqual(nodes, [moving.node]);
    assert.deepEqual([results.length, results[0].node, results[0].state], [1, moving.node, "succeeded"]);
    const again = await call(`/commands/${id}/retry`, {});
    assert.equal(again.status, 202);
    assert.ok("moving" in await again.json(), "asked again it may move again");
    const parts = {
      capability: "task",
      verb: "run",
      input: { args: ["hello"] },
      target: "os=none",
      any: true,
      move: true,
    };
    const waiting = await call("/tasks", parts);
    const answer = await waiting.json();
    assert.deepEqual([waiting.status, answer.nodes, answer.moving], [202, [], { state: "queued", attempt: 0 }]);
    assert.equal((await call(`/commands/${answer.id}/retry`, {})).status, 409, "it goes on");
    const cancelled = await (await call(`/commands/${answer.id}/cancel`, {})).json();
    assert.deepEqual(cancelled.outcomes, { hub: "cancelled" });
    for (const wrong of [{ ...parts, any: false }, { ...parts, queue: true }, { ...parts, verb: "list", input: {} }]) {
      const refused = await call("/tasks", wrong);
      assert.deepEqual([refused.status, parseJson(Refused, await refused.text(), "refusal").error.code], [
        400,
        "invalid",
      ]);
    }
  });

  await t.step("by its parts; what only reads is kept too, since its asker looks for it later", async () => {
    const { id } = await taken("/tasks", {
      capability: "which",
      verb: "check",
      input: { names: ["sh"] },
      target: "n1",
    });
    const { capability, runs } = await ended(id);
    assert.deepEqual([capability, Object.keys(runs), runs.n1?.state], ["which", ["n1"], "succeeded"]);
    const best = { capability: "which", verb: "check", input: { names: ["sh"] }, target: "all", any: true };
    assert.equal((await taken("/tasks", best)).nodes.length, 1, "on the best of them");
  });

  await t.step("what cannot be asked is refused with what to do", async () => {
    const rows: [unknown, number, string][] = [
      [{ command: "up" }, 400, "invalid"],
      [{ command: "task run hello" }, 400, "invalid"],
      [{ command: "task run hello --on nobody=there" }, 404, "not_found"],
      [{ command: "task run hello --on all", project: "other" }, 404, "not_found"],
      [{ capability: "rm", verb: "all", target: "all" }, 404, "not_found"],
      [{ capability: "which", verb: "check", input: { names: "sh" }, target: "all" }, 400, "invalid"],
      [{ command: 1 }, 400, "invalid"],
    ];
    for (const [body, status, code] of rows) {
      const answer = await call("/tasks", body);
      const { error } = parseJson(Refused, await answer.text(), "refusal");
      assert.deepEqual([answer.status, error.code], [status, code], JSON.stringify(body));
    }
  });

  await t.step("a running command is cancelled", async () => {
    const { id } = await taken("/tasks", { command: "silent exec --on n1 -- sleep 600" });
    await until("it runs", async () => (await (await call(`/commands/${id}`)).text()).includes('"running"'));
    assert.deepEqual(await (await call(`/commands/${id}/cancel`, {})).json(), { id, outcomes: { n1: "cancelled" } });
    assert.equal((await ended(id)).runs.n1?.state, "cancelled");
  });
});
