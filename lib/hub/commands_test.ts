import assert from "node:assert/strict";
import { newCommandId } from "../protocol/id.ts";
import type { Event } from "../protocol/event.ts";
import { Commands } from "./commands.ts";

const AT = "2026-01-01T00:00:00.000Z";
const ids = (count: number) => Array.from({ length: count }, (_, at) => newCommandId(1_700_000_000_000 + at));

function started(command: string, node = "n1"): Event {
  return { type: "command_started", at: AT, node, command, attempt: 1 };
}
function tell(commands: Commands, event: Event, sequence: number): void {
  commands.apply(event, sequence, event.node);
}
function ended(command: string, node = "n1"): Event {
  return { type: "command_result", at: AT, node, command, attempt: 1, state: "succeeded", durationMs: 1 };
}

Deno.test("commands are listed newest first, by node and by state, up to a limit", () => {
  const commands = new Commands();
  const [a = "", b = "", c = ""] = ids(3);
  for (const event of [started(b), started(c, "n2"), started(a), ended(a), started(a, "n2")]) tell(commands, event, 1);
  const list = (query: { node?: string; state?: string; limit?: number }) =>
    commands.list({ limit: 10, ...query }).map(({ id }) => id);
  assert.deepEqual(list({}), [c, b, a]);
  assert.deepEqual(list({ limit: 2 }), [c, b]);
  assert.deepEqual(list({ node: "n2" }), [c, a]);
  assert.deepEqual(list({ state: "succeeded" }), [a]);
  assert.deepEqual(list({ state: "running", node: "n1" }), [b], "the state is that of the run on this node");
  assert.deepEqual(list({ node: "n3" }), []);
});

Deno.test("each changed record is handed out once, as it then is", () => {
  const commands = new Commands();
  const [a = "", b = ""] = ids(2);
  for (const event of [started(a), started(b), ended(a)]) tell(commands, event, 3);
  assert.deepEqual(commands.takeChanged().map(({ id, runs }) => [id, runs.n1?.state]), [[a, "succeeded"], [
    b,
    "running",
  ]]);
  assert.deepEqual(commands.takeChanged(), []);
  const known = [...commands.list({ limit: 9 })];
  commands.notWritten(known);
  assert.deepEqual(commands.takeChanged(), known, "one that could not be written is handed out again");
  commands.apply({ type: "node_joined", at: AT, node: "n1" }, 9, "hub");
  assert.deepEqual(commands.takeChanged(), []);
  assert.equal(commands.applied, 9);
  tell(commands, ended(b), 5);
  assert.equal(commands.applied, 9, "a repeat of an earlier event does not turn it back");
});

Deno.test("memory is bounded: the oldest commands go, the newest stay", () => {
  const commands = new Commands();
  const all = ids(6_000);
  for (const [at, id] of all.entries()) tell(commands, started(id), at);
  const kept = commands.list({ limit: 10_000 }).map(({ id }) => id);
  assert.equal(kept.length, 5_000);
  assert.deepEqual(kept, all.slice(-5_000).reverse());
  assert.equal(commands.get(all[0] ?? ""), undefined);
});

Deno.test("nobody tells of another node's run", () => {
  const commands = new Commands();
  const [a = ""] = ids(1);
  tell(commands, started(a, "n2"), 1);
  assert.throws(() => commands.apply(ended(a, "n2"), 2, "n1"), { code: "forbidden" });
  assert.equal(commands.get(a)?.runs.n2?.state, "running");
  assert.equal(commands.applied, 2, "it is passed by");
});

Deno.test("an event of a command that left the memory goes on from its stored record, and is handed out", () => {
  const commands = new Commands();
  const [first = "", ...others] = ids(5_001);
  tell(commands, started(first), 1);
  assert.ok(!commands.lacks(started(first)));
  for (const id of others) tell(commands, started(id), 2);
  const stored = commands.takeChanged().find(({ id }) => id === first);
  assert.ok(stored !== undefined, "what left the memory before it was written is handed out");
  assert.ok(commands.lacks(ended(first)));
  commands.apply(ended(first, "n2"), 3, "n2", stored);
  const [record] = commands.takeChanged();
  assert.deepEqual(Object.entries(record?.runs ?? {}).map(([node, { state }]) => [node, state]), [
    ["n1", "running"],
    ["n2", "succeeded"],
  ]);
});
