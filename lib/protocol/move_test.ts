import assert from "node:assert/strict";
import fc from "fast-check";
import { HUB_AUTHOR, newCommandId } from "./id.ts";
import { stateOf } from "./move.ts";
import { applyEvent, type CommandEvent, mayTell, mergeRecords } from "./projection.ts";
import type { CommandRecord } from "./run.ts";

const command = newCommandId(1_700_000_000_000);
const at = "2026-01-01T00:00:00.000Z";
const about = (node: string, attempt: number) => ({ at, node, command, attempt });

const QUEUED: CommandEvent = {
  type: "command_queued",
  ...about(HUB_AUTHOR, 0),
  capability: "task",
  verb: "run",
  input: { args: ["build"] },
  deadline: at,
  any: "os=linux",
};
const accepted = (node: string, attempt: number): CommandEvent => ({
  type: "command_accepted",
  ...about(node, attempt),
  capability: "task",
  verb: "run",
});
const placed = (node: string, attempt: number): CommandEvent => ({ type: "command_placed", ...about(node, attempt) });
const moving = (node: string, attempt: number): CommandEvent => ({
  type: "command_moving",
  ...about(node, attempt),
  reason: "not heard of",
});
const result = (node: string, attempt: number, state: "succeeded" | "interrupted" | "cancelled"): CommandEvent => ({
  type: "command_result",
  ...about(node, attempt),
  state,
  durationMs: 1,
});

const replay = (...events: readonly CommandEvent[]) =>
  events.reduce<CommandRecord | undefined>((record, event) => applyEvent(record, event), undefined)!;

Deno.test("a command that may move waits until its newest attempt has an outcome", () => {
  const story: [CommandEvent, string][] = [
    [QUEUED, "queued"],
    [accepted("n1", 1), "queued"],
    [placed("n1", 1), "accepted"],
    [{ type: "command_started", ...about("n1", 1) }, "running"],
    [moving("n1", 1), "queued"],
    [accepted("n2", 2), "queued"],
    [placed("n2", 2), "accepted"],
    [{ type: "command_started", ...about("n2", 2) }, "running"],
    [result("n1", 1, "succeeded"), "running"],
    [result("n2", 2, "succeeded"), "succeeded"],
  ];
  const events: CommandEvent[] = [];
  for (const [event, state] of story) {
    events.push(event);
    assert.equal(stateOf(replay(...events)), state, event.type);
  }
  const { move, runs } = replay(...events);
  assert.deepEqual(move, {
    any: "os=linux",
    attempt: 2,
    node: "n2",
    lost: [{ attempt: 1, node: "n1", at, reason: "not heard of" }],
  });
  assert.deepEqual([runs.n1?.state, runs.n1?.stale, runs.n2?.state, runs.n2?.stale], [
    "succeeded",
    true,
    "succeeded",
    undefined,
  ]);
});

Deno.test("a result that comes after its lease was given up is the outcome, unless another attempt was placed", () => {
  const begun = [QUEUED, placed("n1", 1), accepted("n1", 1), moving("n1", 1)];
  assert.equal(stateOf(replay(...begun, result("n1", 1, "succeeded"))), "succeeded");
  assert.equal(stateOf(replay(...begun, result("n1", 1, "interrupted"))), "queued");
  assert.equal(stateOf(replay(...begun, placed("n2", 2), result("n1", 1, "succeeded"))), "queued");
});

Deno.test("a later attempt on the same node takes the place of an earlier one, and what is late of that is passed by", () => {
  const record = replay(
    QUEUED,
    placed("n1", 1),
    accepted("n1", 1),
    moving("n1", 1),
    accepted("n1", 2),
    placed("n1", 2),
  );
  const { runs } = applyEvent(record, result("n1", 1, "interrupted"));
  assert.deepEqual(runs.n1, { state: "accepted", attempt: 2 });
});

Deno.test("it may end on no node: then the hub says so", () => {
  const ended = replay(QUEUED, result(HUB_AUTHOR, 0, "cancelled"));
  assert.equal(stateOf(ended), "cancelled");
  assert.deepEqual(ended.runs, {});
});

Deno.test("the hub alone tells where it is placed; a node's word of that is nobody's", () => {
  const record = replay(QUEUED);
  for (const event of [placed("n1", 9), moving("n1", 9)]) {
    assert.ok(mayTell(HUB_AUTHOR, event, record));
    assert.ok(!mayTell("n1", event, record));
  }
  assert.ok(!mayTell("n1", QUEUED, undefined));
  assert.ok(!mayTell("n1", result(HUB_AUTHOR, 1, "cancelled"), record));
});

Deno.test("any order and any repetition gives the same record, and so do two that each heard a part", () => {
  const all = [
    QUEUED,
    accepted("n1", 1),
    placed("n1", 1),
    moving("n1", 1),
    result("n1", 1, "interrupted"),
    accepted("n2", 2),
    placed("n2", 2),
    moving("n2", 2),
    accepted("n1", 3),
    placed("n1", 3),
    result("n1", 3, "succeeded"),
  ];
  const whole = replay(...all);
  fc.assert(fc.property(
    fc.shuffledSubarray(all, { minLength: all.length }),
    fc.subarray(all, { minLength: 1 }),
    fc.subarray(all, { minLength: 1 }),
    (mixed, some, others) => {
      assert.deepEqual(replay(...mixed, ...some), whole);
      const merged = mergeRecords(replay(...some), replay(...others));
      const together = replay(...all.filter((event) => some.includes(event) || others.includes(event)));
      assert.deepEqual(merged.move, together.move);
      assert.equal(stateOf(merged), stateOf(together));
    },
  ));
});
