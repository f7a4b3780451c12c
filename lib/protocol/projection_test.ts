import assert from "node:assert/strict";
import fc from "fast-check";
import { newCommandId } from "./id.ts";
import type { CommandRecord } from "./run.ts";
import { isTerminal, movesForward, type State } from "./state.ts";
import { applyEvent, type CommandEvent, mayTell, mergeRecords } from "./projection.ts";

const COMMAND = newCommandId(1_700_000_000_000);
const at = (second: number) => new Date(1_767_225_600_000 + second * 1_000).toISOString();

/** What one node tells of its run: all of it, or what of it was not lost. */
function told(node: string): fc.Arbitrary<CommandEvent[]> {
  const about = (second: number) => ({ at: at(second), node, command: COMMAND, attempt: 1 });
  return fc.record({
    state: fc.constantFrom("succeeded", "failed", "cancelled", "interrupted", "expired"),
    exitCode: fc.option(fc.nat(255), { nil: undefined }),
    offset: fc.nat(20),
  }).chain(({ state, exitCode, offset }) => {
    const asked = { capability: "task", verb: "run", input: { args: ["build"] } };
    const events: CommandEvent[] = [
      { type: "command_queued", ...about(offset), ...asked, deadline: at(100) },
      { type: "command_accepted", ...about(offset), ...asked },
      { type: "command_started", ...about(offset + 1) },
      {
        type: "command_result",
        ...about(offset + 2),
        state,
        durationMs: 1_000,
        ...(exitCode === undefined ? {} : { exitCode }),
      },
    ];
    return fc.subarray(events, { minLength: 1 });
  });
}

const onNodes = fc.uniqueArray(fc.constantFrom("n1", "n2", "constructor"), { minLength: 1 })
  .chain((nodes) => fc.tuple(...nodes.map(told)).map((events) => events.flat()));

const replay = (events: readonly CommandEvent[]) =>
  events.reduce<CommandRecord | undefined>((record, event) => applyEvent(record, event), undefined);

Deno.test("any order and any repetition of events gives the same record", () => {
  fc.assert(
    fc.property(
      onNodes.chain((events) =>
        fc.tuple(
          fc.constant(events),
          fc.shuffledSubarray(events, { minLength: events.length }),
          fc.array(fc.constantFrom(...events), { maxLength: 10 }),
          fc.nat(),
        )
      ),
      ([events, shuffled, repeats, salt]) => {
        const mixed = [...shuffled];
        for (const [n, event] of repeats.entries()) mixed.splice((salt + 7 * n) % (mixed.length + 1), 0, event);
        assert.deepEqual(replay(mixed), replay(events));
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("each event moves its run forward or not at all, and touches no other run", () => {
  fc.assert(
    fc.property(onNodes.chain((events) => fc.array(fc.constantFrom(...events), { maxLength: 20 })), (events) => {
      let record: CommandRecord | undefined;
      for (const event of events) {
        const before = structuredClone(record);
        const after = applyEvent(record, event);
        assert.deepEqual(record, before, "the record that was given is left as it is");
        for (const [node, run] of Object.entries(after.runs)) {
          const from: State = Object.hasOwn(before?.runs ?? {}, node)
            ? before?.runs[node]?.state ?? "queued"
            : "queued";
          assert.ok(run.state === from || movesForward(from, run.state), `${from} became ${run.state}`);
          if (isTerminal(from)) {
            const late = { startedAt: undefined, deadline: undefined };
            assert.deepEqual({ ...run, ...late }, { ...before?.runs[node], ...late });
          }
          if (node !== event.node) {
            assert.deepEqual(run, before?.runs[node]);
          }
        }
        record = after;
      }
    }),
  );
});

Deno.test("of two ends that were told the first one stands, and times span all that was told", () => {
  const about = { node: "n1", command: COMMAND, attempt: 1, durationMs: 5 };
  const record = replay([
    {
      type: "command_result",
      ...about,
      at: at(9),
      state: "interrupted",
      error: { code: "unavailable", message: "The agent stopped" },
    },
    { type: "command_result", ...about, at: at(12), state: "succeeded", exitCode: 0 },
    { type: "command_accepted", ...about, at: at(3), capability: "silent", verb: "exec" },
    { type: "command_started", ...about, at: at(4) },
  ]);
  assert.deepEqual(record, {
    id: COMMAND,
    capability: "silent",
    verb: "exec",
    acceptedAt: at(3),
    updatedAt: at(12),
    runs: {
      n1: {
        state: "interrupted",
        attempt: 1,
        startedAt: at(4),
        finishedAt: at(9),
        durationMs: 5,
        error: { code: "unavailable", message: "The agent stopped" },
      },
    },
  });
});

Deno.test("of what two have heard, neither takes back what the other knows", () => {
  const halves = onNodes.chain((events) =>
    fc.tuple(fc.constant(events), fc.subarray(events, { minLength: 1 }), fc.subarray(events, { minLength: 1 }))
  );
  fc.assert(fc.property(halves, ([events, some, others]) => {
    const [all, known, listed] = [replay(events)!, replay(some)!, replay(others)!];
    const states = ({ runs }: CommandRecord) =>
      Object.fromEntries(Object.entries(runs).map(([node, { state }]) => [node, state]));
    assert.deepEqual(mergeRecords(all, listed), all, "who knows all loses nothing");
    assert.deepEqual(mergeRecords(known, all), all, "and is believed");
    const [one, other] = [mergeRecords(known, listed), mergeRecords(listed, known)];
    assert.deepEqual(states(one), states(other));
    for (const record of [known, listed]) {
      for (const [node, { state }] of Object.entries(record.runs)) {
        const merged = one.runs[node]!.state;
        assert.ok(merged === state || movesForward(state, merged), `${state} became ${merged}`);
      }
    }
  }));
});

Deno.test("of what has not reached its node the hub may tell; of a run, its node alone", () => {
  const about = { at: "2026-01-01T00:00:00.000Z", node: "n1", command: "01JAAAAAAAAAAAAAAAAAAAAAAA", attempt: 1 };
  const queued = {
    type: "command_queued" as const,
    ...about,
    capability: "task",
    verb: "run",
    deadline: "2026-01-02T00:00:00.000Z",
  };
  const started = { type: "command_started" as const, ...about };
  const ended = { type: "command_result" as const, ...about, state: "expired" as const, durationMs: 0 };
  const waiting = applyEvent(undefined, queued);
  const running = applyEvent(waiting, started);
  assert.equal(waiting.runs.n1?.state, "queued");
  assert.equal(applyEvent(running, queued).runs.n1?.state, "running", "late word of the waiting takes nothing back");
  for (const event of [queued, started, ended]) {
    assert.ok(mayTell("n1", event, running));
    assert.ok(!mayTell("n2", event, waiting));
  }
  assert.ok(mayTell("hub", queued, undefined) && mayTell("hub", ended, waiting) && mayTell("hub", ended, undefined));
  assert.ok(!mayTell("hub", started, waiting) && !mayTell("hub", ended, running));
});
