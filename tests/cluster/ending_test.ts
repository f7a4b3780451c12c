import assert from "node:assert/strict";
import { jetstreamManager } from "@nats-io/jetstream";
import * as v from "valibot";
import { STREAM } from "../../lib/nats/streams.ts";
import { markOf, survivors } from "../../lib/os/processes.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { parseJson } from "../../lib/protocol/parse.ts";
import { CancelReply } from "../../lib/protocol/run.ts";
import { eventSubject, hubSubject, runSubject, upEvent } from "../../lib/protocol/subjects.ts";
import { ask, ended, GATED, hear, ongoing, refused, resultOf, runsIn } from "../asking.ts";
import { startFleet, type TestFleet } from "../fleet.ts";
import { until } from "../until.ts";

async function cancel(fleet: TestFleet, id: string): Promise<string> {
  const answer = await fleet.admin.request(runSubject("n1", "cancel"), JSON.stringify({ id }), { timeoutMs: 15_000 });
  const { id: of, outcome } = parseJson(CancelReply, answer.text(), "answer to cancel");
  assert.equal(of, id);
  return outcome;
}

const IN_THE_PAST = new Date(Date.now() - 60_000);
const gate = { args: ["gate"] };

Deno.test("a command past its deadline is ended, or never begun", async (t) => {
  await using fleet = await startFleet({ taskfile: GATED, slots: 1 });
  const { admin } = fleet;
  const { dir } = fleet.node("n1");

  await t.step("a deadline that has passed expires the command without starting it", async () => {
    using started = await hear(admin, eventSubject("default", "command_started"));
    const result = ended(await ask(admin, "n1", "task.run", gate, { deadline: IN_THE_PAST }));
    assert.deepEqual([result.state, result.startedAt, result.durationMs], ["expired", undefined, 0]);
    assert.equal(result.error?.code, "timeout");
    assert.equal(await runsIn(dir), 0);
    // The event of the result was sent after any that told of a start.
    await until("the hub to hear of the end", () => fleet.up.hub.commands.get(result.id)?.runs.n1?.state === "expired");
    assert.equal(started.messages.length, 0);
  });

  await t.step("what only reads is not begun past its deadline either", async () => {
    const result = ended(await ask(admin, "n1", "which.check", { names: ["sh"] }, { deadline: IN_THE_PAST }));
    assert.deepEqual([result.state, result.startedAt], ["expired", undefined]);
  });

  await t.step("a deadline months away is no deadline that has passed", async () => {
    const deadline = new Date(Date.now() + 90 * 24 * 60 * 60_000);
    const result = ended(await ask(admin, "n1", "silent.exec", { command: ["true"] }, { deadline }));
    assert.equal(result.state, "succeeded");
  });

  await t.step("a deadline that passes during the run ends the run with all its processes", async () => {
    const id = newCommandId();
    const result = ended(await ask(admin, "n1", "task.run", gate, { id, deadline: new Date(Date.now() + 2_000) }));
    assert.deepEqual([result.state, result.error?.code], ["failed", "timeout"]);
    assert.equal(await runsIn(dir), 1);
    assert.deepEqual(await survivors({ groups: [], mark: markOf("n1", id) }), []);
  });

  await t.step("a deadline that passes while the command waits for a slot expires it", async () => {
    const first = newCommandId();
    ongoing(await ask(admin, "n1", "task.run", gate, { id: first, waitMs: 0 }));
    const result = ended(await ask(admin, "n1", "task.run", gate, { deadline: new Date(Date.now() + 400) }));
    assert.deepEqual([result.state, result.startedAt], ["expired", undefined]);
    assert.equal(await cancel(fleet, first), "cancelled");
  });
});

Deno.test("a run that is cancelled leaves nothing behind", async (t) => {
  await using fleet = await startFleet({ taskfile: GATED, slots: 1 });
  const { admin } = fleet;
  const { dir } = fleet.node("n1");

  await t.step("its processes and what left their group are gone when the answer comes", async () => {
    const id = newCommandId();
    // Forks twice and leaves session and group: the grandchild is then a child of process 1.
    const script =
      "(setsid sh -c 'echo $$ > away; trap \"\" TERM; while :; do sleep 1; done' &) ; echo $$ > stays; sleep 60";
    ongoing(await ask(admin, "n1", "silent.exec", { command: ["sh", "-c", script] }, { id, waitMs: 0 }));
    const pidIn = async (name: string) =>
      Number(await Deno.readTextFile(`${dir}/${name}`).catch(() => "")) || undefined;
    const away = await until("the process that went away", () => pidIn("away"));
    const stays = await until("the process that stays", () => pidIn("stays"));
    const mark = markOf("n1", id);
    const living = await survivors({ groups: [], mark });
    assert.ok(living.includes(away) && living.includes(stays), "both live before");
    assert.equal(await cancel(fleet, id), "cancelled");
    assert.deepEqual(await survivors({ groups: [stays, away], mark }), []);
    const result = await resultOf(admin, "n1", id);
    assert.deepEqual([result.state, result.error?.code], ["cancelled", "cancelled"]);
  });

  await t.step("one that waits for a slot never starts", async () => {
    const [first, second] = [newCommandId(), newCommandId()];
    ongoing(await ask(admin, "n1", "task.run", gate, { id: first, waitMs: 0 }));
    await until("the first to run", async () => await runsIn(dir) === 1);
    const waiting = ongoing(await ask(admin, "n1", "task.run", gate, { id: second, waitMs: 0 }));
    assert.equal(waiting.state, "accepted");
    assert.equal(await cancel(fleet, second), "cancelled");
    const result = await resultOf(admin, "n1", second);
    assert.deepEqual([result.state, result.startedAt], ["cancelled", undefined]);
    assert.equal((await fleet.record("n1")).queued, 0);
    assert.equal(await cancel(fleet, first), "cancelled");
    assert.equal(await runsIn(dir), 1);
  });

  await t.step("one that has ended is already done, and its result stands", async () => {
    await Deno.writeTextFile(`${dir}/open`, "");
    const result = ended(await ask(admin, "n1", "task.run", gate));
    assert.equal(result.state, "succeeded");
    assert.equal(await cancel(fleet, result.id), "already_done");
    assert.equal((await resultOf(admin, "n1", result.id)).state, "succeeded");
    await refused(cancel(fleet, newCommandId()), "not_found");
    await Deno.remove(`${dir}/open`);
  });

  await t.step("the hub cancels it wherever it runs", async () => {
    const id = newCommandId();
    ongoing(await ask(admin, "n1", "task.run", gate, { id, waitMs: 0 }));
    const Outcomes = v.object({ outcomes: v.record(v.string(), v.string()) });
    const askHub = () => admin.request(hubSubject("command", "cancel"), JSON.stringify({ id }), { timeoutMs: 15_000 });
    assert.deepEqual(parseJson(Outcomes, (await askHub()).text(), "outcomes").outcomes, { n1: "cancelled" });
    assert.deepEqual(parseJson(Outcomes, (await askHub()).text(), "outcomes").outcomes, { n1: "already_done" });
  });
});

Deno.test("a command is cancelled on each node that took it, though the hub has heard of one only", async () => {
  await using fleet = await startFleet({ nodes: ["n1", "n2"], taskfile: GATED });
  const { admin } = fleet;
  const id = newCommandId();
  ongoing(await ask(admin, "n1", "task.run", gate, { id, waitMs: 0 }));
  await until("the hub to know it", () => fleet.up.hub.commands.get(id)?.runs.n1?.state === "running");
  const { streams } = await jetstreamManager(admin.connection);
  const { config } = await streams.info(STREAM.events);
  await streams.update(STREAM.events, { ...config, sources: [] });
  ongoing(await ask(admin, "n2", "task.run", gate, { id, waitMs: 0 }));
  await until("its word to be stored", async () => {
    const told = await streams.getMessage(STREAM.up, { last_by_subj: upEvent("n2", "command_accepted") });
    return told !== null;
  });
  const cancelled = admin.request(hubSubject("command", "cancel"), JSON.stringify({ id }), { timeoutMs: 20_000 });
  await admin.flush();
  await streams.update(STREAM.events, config);
  assert.deepEqual(JSON.parse((await cancelled).text()).outcomes, { n1: "cancelled", n2: "cancelled" });
});

Deno.test("the hub's records of commands follow their events", async () => {
  await using fleet = await startFleet({ nodes: ["n1", "n2"] });
  const { admin } = fleet;
  const hub = async (verb: string, input: unknown) =>
    JSON.parse((await admin.request(hubSubject("command", verb), JSON.stringify(input))).text());
  const good = ended(await ask(admin, "n1", "task.run", { args: ["hello"] })).id;
  const bad = ended(await ask(admin, "n2", "task.run", { args: ["fail"] })).id;
  await ask(admin, "n1", "which.check", { names: ["sh"] });
  const known = (id: string, node: string) => fleet.up.hub.commands.get(id)?.runs[node]?.finishedAt !== undefined;
  await until("the hub to know both", () => known(good, "n1") && known(bad, "n2"));
  const { commands } = await hub("list", {});
  assert.deepEqual(
    commands.map(({ id }: { id: string }) => id),
    [bad, good],
    "newest first; what only reads is no record",
  );
  assert.deepEqual((await hub("list", { node: "n1" })).commands.map(({ id }: { id: string }) => id), [good]);
  assert.deepEqual((await hub("list", { state: "failed" })).commands.map(({ id }: { id: string }) => id), [bad]);
  assert.equal((await hub("list", { limit: 1 })).commands.length, 1);
  const record = await hub("show", { id: bad });
  assert.deepEqual([record.capability, record.verb, record.input], ["task", "run", { args: ["fail"] }]);
  assert.deepEqual(Object.keys(record.runs), ["n2"]);
  assert.deepEqual([record.runs.n2.state, record.runs.n2.exitCode, record.runs.n2.attempt], ["failed", 3, 1]);
  await refused(hub("show", { id: newCommandId() }), "not_found");

  const asked = newCommandId();
  const shown = hub("show", { id: asked });
  await admin.flush();
  const node = await fleet.connect(fleet.node("n1").creds, { inboxPrefix: "_INBOX_n1" });
  const about = {
    at: new Date().toISOString(),
    node: "n1",
    command: asked,
    attempt: 1,
    capability: "task",
    verb: "run",
  };
  node.publish(upEvent("n1", "command_accepted"), JSON.stringify({ type: "command_accepted", ...about }));
  assert.deepEqual(Object.keys((await shown).runs), ["n1"], "its node's word of it was still under way");
  await refused(ask(admin, "n1", "run.status", { id: bad }), "not_found");
});
