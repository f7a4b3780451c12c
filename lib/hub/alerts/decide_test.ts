import assert from "node:assert/strict";
import fc from "fast-check";
import { type Metrics, NO_RUNS } from "../../protocol/metrics.ts";
import { BACKLOG_BYTES, type Condition, decide, GONE_MS, newWatch, SKEW_MS, STUCK, type WatchEvent } from "./decide.ts";

const NOW = Date.parse("2026-01-01T00:00:00.000Z");

function sample(change: Partial<Metrics> = {}): Metrics {
  return {
    node: "n1",
    at: new Date(NOW).toISOString(),
    since: new Date(NOW).toISOString(),
    cpu: { percent: 1, busyMs: 1, totalMs: 100, cores: 1 },
    memory: { usedBytes: 1, totalBytes: 2 },
    load: 0,
    disk: disk(50),
    runs: NO_RUNS,
    slots: { total: 1, free: 1 },
    queued: 0,
    backlogBytes: 0,
    ...change,
  };
}

/** A disk of 100 GiB with so many of them free. */
function disk(free: number): { usedBytes: number; freeBytes: number } {
  return { usedBytes: (100 - free) * 2 ** 30, freeBytes: free * 2 ** 30 };
}

/** Lets events happen, each so many ms after the start, and tells what was said: `+key severity` and `-key`. */
function tell(events: readonly (readonly [number, WatchEvent])[]): string[] {
  let watch = newWatch("n1");
  return events.flatMap(([ms, event]) => {
    const decided = decide(watch, event, NOW + ms);
    watch = decided.watch;
    return decided.effects.map((effect) =>
      effect.type === "open" ? `+${effect.condition.key} ${effect.condition.severity}` : `-${effect.key}`
    );
  });
}

const heard = (ms: number, skewMs = 0, running: string[] = []): [number, WatchEvent] => [
  ms,
  { type: "heard", at: NOW + ms + skewMs, running },
];
const measured = (ms: number, change: Partial<Metrics>): [number, WatchEvent] => [
  ms,
  { type: "measured", sample: sample(change) },
];

Deno.test("a node is late once, gone once, and back once; one that was stopped is none of it", () => {
  assert.deepEqual(
    tell([
      [15_000, { type: "lost", since: NOW }],
      [20_000, { type: "tick" }],
      [GONE_MS, { type: "tick" }],
      [GONE_MS + 5_000, { type: "tick" }],
      heard(GONE_MS + 10_000),
    ]),
    ["+node_away.n1 warning", "+node_away.n1 critical", "-node_away.n1"],
  );
  assert.deepEqual(tell([heard(0), [1, { type: "stopped" }], [GONE_MS * 2, { type: "tick" }]]), []);
});

Deno.test("that a node is away is told with what else is known, and its end with what was learned then", () => {
  const lost = { type: "lost" as const, since: NOW, hint: "2 others were lost with it", worksOn: true };
  const { watch, effects: [told] } = decide(newWatch("n1"), lost, NOW + 15_000);
  assert.ok(told?.type === "open");
  assert.match(
    told.condition.message,
    /n1 is late: .*\. 2 others were lost with it\. If its machine is up it works on/,
  );
  const later = decide(watch, { type: "tick" }, NOW + GONE_MS);
  assert.ok(later.effects[0]?.type === "open");
  assert.match(later.effects[0].condition.message, /n1 is gone: .* which, can be told when it is back\. 2 others/);
  const back = decide(
    later.watch,
    { type: "back", reason: "back again; its machine was started anew" },
    NOW + GONE_MS + 1,
  );
  assert.deepEqual(back.effects, [
    { type: "resolve", key: "node_away.n1", because: "back again; its machine was started anew" },
  ]);
  const again = decide(back.watch, { type: "lost", since: NOW }, NOW + 2 * GONE_MS);
  assert.ok(again.effects[0]?.type === "open" && !again.effects[0].condition.message.includes("2 others"));
});

Deno.test("what a node cannot write is told with the system's reason and what follows, and is over when it can", () => {
  const troubles = [{ of: "journal" as const, reason: "disk full" }, { of: "store" as const, reason: "no space" }];
  assert.deepEqual(
    tell([
      measured(0, { troubles }),
      measured(1, { troubles }),
      [2, { type: "lost", since: NOW }],
      heard(3),
      measured(4, { troubles: troubles.slice(1) }),
      measured(5, {}),
    ]),
    [
      "+write_failing.journal.n1 critical",
      "+write_failing.store.n1 critical",
      "+node_away.n1 warning",
      "-node_away.n1",
      "-write_failing.journal.n1",
      "-write_failing.store.n1",
    ],
  );
  const { effects } = decide(newWatch("n1"), measured(0, { troubles })[1], NOW);
  const messages = effects.map((effect) => effect.type === "open" ? effect.condition.message : "");
  assert.match(messages[0] ?? "", /The journal of n1 cannot be written \(disk full\): it takes no new commands/);
  assert.match(messages[1] ?? "", /The store of n1's own server cannot be written \(no space\)/);
  const hub = decide(newWatch("hub"), measured(0, { troubles: troubles.slice(1) })[1], NOW);
  assert.ok(
    hub.effects[0]?.type === "open" && /^The hub's store cannot be written/.test(hub.effects[0].condition.message),
  );
});

Deno.test("a clock that is off is told after three heartbeats, with the amount, and over when it is right again", () => {
  const wrong = [0, 1, 2, 3].map((n) => heard(n, 2 * SKEW_MS));
  const between = [4, 5, 6].map((n) => heard(n, 0.75 * SKEW_MS));
  const right = [7, 8, 9].map((n) => heard(n, 10));
  assert.deepEqual(tell([...wrong, ...between, ...right]), ["+clock_skew.n1 warning", "-clock_skew.n1"]);
  assert.deepEqual(tell([heard(0), heard(1, 60_000), heard(2), heard(3)]), [], "one late heartbeat is no wrong clock");
  let watch = newWatch("n1");
  for (const n of [0, 1]) ({ watch } = decide(watch, { type: "heard", at: NOW + n - 90_000, running: [] }, NOW + n));
  const { effects: [effect] } = decide(watch, { type: "heard", at: NOW + 2 - 90_000, running: [] }, NOW + 2);
  assert.match(effect?.type === "open" ? effect.condition.message : "", /n1 is 90\.0 s behind/);
});

Deno.test("a disk that fills is told, again when it is nearly full, and over with room to spare", () => {
  assert.deepEqual(
    tell([
      measured(0, { disk: disk(6) }),
      measured(1, { disk: disk(4) }),
      measured(2, { disk: disk(6) }),
      measured(3, { disk: disk(0.5) }),
      measured(4, { disk: disk(20) }),
    ]),
    ["+disk_low.n1 warning", "+disk_low.n1 critical", "-disk_low.n1"],
  );
  const large = { usedBytes: 8_000 * 2 ** 30, freeBytes: 200 * 2 ** 30 };
  assert.deepEqual(tell([measured(0, { disk: large })]), [], "a fortieth of 8 TiB is plenty");
});

Deno.test("a backlog is told when it grows, not when it is only large", () => {
  const grows = [1, 2, 3, 4].map((n) => measured(n, { backlogBytes: n * BACKLOG_BYTES }));
  assert.deepEqual(tell([...grows, measured(5, { backlogBytes: 0 })]), [
    "+outbox_growing.n1 warning",
    "-outbox_growing.n1",
  ]);
  assert.deepEqual(tell([4, 3, 2, 1].map((n) => measured(n, { backlogBytes: n * BACKLOG_BYTES }))), []);
});

Deno.test("a run is stuck past three times what it usually takes, and only where that is known", () => {
  const before = (times: number): [number, WatchEvent][] =>
    Array.from(
      { length: times },
      (_, n) => [n, { type: "ended", command: `C${n}`, what: "task run build", durationMs: 60_000 }],
    );
  const run: [number, WatchEvent][] = [
    [100, { type: "started", command: "NEW", what: "task run build", at: NOW + 100 }],
    heard(150_000, 0, ["NEW"]),
    heard(200_000, 0, ["NEW"]),
    [300_000, { type: "ended", command: "NEW", what: "task run build", durationMs: undefined }],
  ];
  assert.deepEqual(tell([...before(STUCK.known), ...run]), ["+run_stuck.NEW.n1 warning", "-run_stuck.NEW.n1"]);
  assert.deepEqual(tell([...before(STUCK.known - 1), ...run]), []);
});

const event: fc.Arbitrary<WatchEvent> = fc.oneof(
  fc.record({
    type: fc.constant("heard" as const),
    at: fc.integer({ min: NOW - 10_000, max: NOW + 2_000_000 }),
    running: fc.subarray(["A", "B"]),
  }),
  fc.constant({ type: "stopped" as const }),
  fc.record({ type: fc.constant("lost" as const), since: fc.integer({ min: NOW, max: NOW + 1_000_000 }) }),
  fc.record({ free: fc.nat(100), backlogBytes: fc.nat(10).map((n) => n * BACKLOG_BYTES) }).map((
    { free, backlogBytes },
  ) => ({ type: "measured" as const, sample: sample({ disk: disk(free), backlogBytes }) })),
  fc.record({
    type: fc.constant("started" as const),
    command: fc.constantFrom("A", "B"),
    what: fc.constant("task run x"),
    at: fc.integer({ min: NOW, max: NOW + 1_000_000 }),
  }),
  fc.record({
    type: fc.constant("ended" as const),
    command: fc.constantFrom("A", "B", "C"),
    what: fc.constant("task run x"),
    durationMs: fc.option(fc.nat(1_000), { nil: undefined }),
  }),
  fc.constant({ type: "tick" as const }),
);

Deno.test("whatever happens, what was told and is not over is exactly what is open, and nothing is told twice", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(200_000), event), { maxLength: 80 }), (events) => {
      let watch = newWatch("n1");
      let now = NOW;
      const told = new Map<string, Condition>();
      for (const [step, happened] of events) {
        now += step;
        const before = structuredClone(watch);
        const decided = decide(watch, happened, now);
        assert.deepEqual(watch, before, "the watch that was given is left as it is");
        watch = decided.watch;
        for (const effect of decided.effects) {
          if (effect.type === "resolve") assert.ok(told.delete(effect.key), `${effect.key} ends, and was not open`);
          else {
            const { key, severity } = effect.condition;
            assert.notEqual(told.get(key)?.severity, severity, `${key} is told twice`);
            told.set(key, effect.condition);
          }
        }
        assert.deepEqual(Object.keys(watch.open).sort(), [...told.keys()].sort());
      }
      // All is well again: every alert ends.
      for (let n = 1; n <= 3; n++) {
        watch = decide(watch, { type: "heard", at: now + n * 40_000, running: [] }, now + n * 40_000).watch;
      }
      watch = decide(watch, { type: "measured", sample: sample() }, now + 200_000).watch;
      assert.deepEqual(watch.open, {});
    }),
    { numRuns: 300 },
  );
});
