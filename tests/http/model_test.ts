import assert from "node:assert/strict";
import * as v from "valibot";
import { connectFleet, type Fleet } from "../../lib/client/fleet.ts";
import { openModel } from "../../lib/http/live/model.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { upAgentLog, upEvent } from "../../lib/protocol/subjects.ts";
import { relayTo } from "../faults/relay.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

const EXEC = { capability: "silent", verb: "exec", input: { command: ["sleep", "600"] } };

/** A fleet whose hub's lists arrive when they are let go. */
function held(fleet: Fleet) {
  let gate: Promise<void> = Promise.resolve();
  let [open, waiting] = [() => {}, 0];
  const hub: Fleet["hub"] = async (...asked) => {
    const answer = await fleet.hub(...asked);
    waiting++;
    await gate;
    waiting--;
    return answer;
  };
  return {
    fleet: { ...fleet, hub } satisfies Fleet,
    get waiting() {
      return waiting;
    },
    hold() {
      ({ promise: gate, resolve: open } = Promise.withResolvers<void>());
    },
    release: () => open(),
  };
}

Deno.test("a list that was made before an event came does not take it back", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  await using client = await connectFleet({ servers: fleet.url, creds: fleet.up.adminCreds });
  const slow = held(client);
  await using model = await openModel({ fleet: slow.fleet, project: "default", log: () => {} });
  const stateOf = (id: string) => model.commands.get(id)?.runs.n1?.state;
  const { id } = await client.ask({ ...EXEC, nodes: ["n1"], waitMs: 0 });
  await until("it to run", () => stateOf(id) === "running");
  await until("the hub to know", async () => {
    const answer = await fetch(`${fleet.up.http.url}/api/v1/commands/${id}`, {
      headers: { authorization: `Bearer ${fleet.up.token}` },
    });
    return (await answer.text()).includes('"running"');
  });

  slow.hold();
  // A node that joins is looked up, and all else with it.
  await fleet.start("n2");
  await until("both lists to be made", () => slow.waiting === 2);
  await client.hub("command", "cancel", { id }, v.unknown());
  await until("its end to be heard", () => stateOf(id) === "cancelled");
  const { id: later } = await client.ask({ ...EXEC, input: { command: ["true"] }, nodes: ["n1"], waitMs: 30_000 });
  await until("what came later to be heard", () => stateOf(later) === "succeeded");
  assert.equal(model.nodes.has("n2"), false);
  slow.release();
  await until("the lists to be taken", () => model.nodes.has("n2"));
  assert.deepEqual([stateOf(id), stateOf(later)], ["cancelled", "succeeded"]);
});

Deno.test("a command that was heard before the list was asked for stays, where the hub is behind", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  await using client = await connectFleet({ servers: fleet.url, creds: fleet.up.adminCreds });
  // Its word of commands is what it was at the start.
  const answers = new Map<string, unknown>();
  const hub: Fleet["hub"] = async (noun, verb, input, schema) => {
    const key = noun === "command" ? verb : crypto.randomUUID();
    if (!answers.has(key)) answers.set(key, await client.hub(noun, verb, input, schema));
    return v.parse(schema, answers.get(key));
  };
  await using model = await openModel({ fleet: { ...client, hub }, project: "default", log: () => {} });
  const { id } = await client.ask({ ...EXEC, input: { command: ["true"] }, nodes: ["n1"], waitMs: 30_000 });
  await until("it to be heard", () => model.commands.get(id)?.runs.n1?.state === "succeeded");
  // A node that joins is looked up, and all else with it.
  await fleet.start("n2");
  await until("the lists to be taken", () => model.nodes.has("n2"));
  assert.deepEqual(model.commands.get(id)?.input, { command: ["true"] });
});

Deno.test("what an agent says before the hub lists its node is kept", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  await using client = await connectFleet({ servers: fleet.url, creds: fleet.up.adminCreds });
  await using model = await openModel({ fleet: client, project: "default", log: () => {} });
  const joining = await fleet.connect(await fleet.join("node", "n3"), { inboxPrefix: "_INBOX_n3" });
  const line = `${new Date().toISOString()} info begins`;
  joining.publish(upAgentLog("n3"), line);
  await until("it to be heard", () => model.agentLogs.of("n3").length === 1);
  // A node that joins is looked up, and all else with it.
  await fleet.start("n2");
  await until("the lists to be taken", () => model.nodes.has("n2"));
  assert.deepEqual(model.agentLogs.of("n3"), [line]);
});

Deno.test("what came while the link was lost is known as soon as it is back", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  await using link = relayTo(Number(new URL(fleet.url).port));
  const { adminCreds: creds } = fleet.up;
  await using client = await connectFleet({ servers: `nats://127.0.0.1:${link.port}`, creds });
  await using other = await connectFleet({ servers: fleet.url, creds });
  await using model = await openModel({ fleet: client, project: "default", log: () => {} });
  let heard = 0;
  using _ = model.onChange(() => heard++);
  link.cut();
  await until("the link to be lost", () => !client.bus.up);
  await until("that to be told", () => heard > 0 && !model.linked);
  const { id } = await other.ask({ ...EXEC, input: { command: ["true"] }, nodes: ["n1"], waitMs: 30_000 });
  assert.equal(model.commands.get(id), undefined);
  link.restore();
  // Sooner than the hub is asked for everything anyway.
  await until("its end to be known", () => model.commands.get(id)?.runs.n1?.state === "succeeded", {
    timeoutMs: 10_000,
  });
});

Deno.test("no node tells of another's run", async () => {
  await using fleet = await startFleet({ nodes: ["n1", "n2"] });
  await using client = await connectFleet({ servers: fleet.url, creds: fleet.up.adminCreds });
  await using model = await openModel({ fleet: client, project: "default", log: () => {} });
  const liar = await fleet.connect(fleet.node("n2").creds, { inboxPrefix: "_INBOX_n2" });
  const tell = (command: string, node: string) =>
    liar.publish(
      upEvent("n2", "command_result"),
      JSON.stringify({
        type: "command_result",
        at: new Date().toISOString(),
        node,
        command,
        attempt: 1,
        state: "succeeded",
        durationMs: 1,
      }),
    );
  const [lie, truth] = [newCommandId(), newCommandId()];
  tell(lie, "n1");
  tell(truth, "n2");
  await until("its own to be heard", () => model.commands.get(truth)?.runs.n2?.state === "succeeded");
  assert.equal(model.commands.has(lie), false);
});
