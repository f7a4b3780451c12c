import assert from "node:assert/strict";
import fc from "fast-check";
import { leaseTimes } from "../protocol/lease.ts";
import { boundsOf, decide, type LeaseEffect, type LeaseEvent, type Leases, NO_LEASES } from "./lease.ts";

const { stopMs, killMs, guardMs } = leaseTimes(15_000);
const ID = "01JAAAAAAAAAAAAAAAAAAAAAAA";

/** A node's leases and a clock. */
function node() {
  let leases: Leases = NO_LEASES;
  let now = 0;
  const told: LeaseEffect[] = [];
  const hear = (event: LeaseEvent) => {
    const decision = decide(leases, event, now);
    leases = decision.leases;
    told.push(...decision.effects);
    return decision.effects;
  };
  return {
    hear,
    at(moment: number) {
      now = moment;
      return hear({ type: "tick" });
    },
    wake: (moment: number) => now = moment,
    take: (epoch = 1, id = ID) => hear({ type: "taken", run: { id, epoch }, leaseMs: 15_000 }),
    answer: (number: number, renewed = [ID], lost: string[] = []) => hear({ type: "answered", number, renewed, lost }),
    get told() {
      return told.map(({ type }) => type);
    },
    get bounds() {
      return boundsOf(leases, now);
    },
    get ids() {
      return [...leases.byId.keys()];
    },
  };
}

/** A node whose run has begun at 0. */
function holding() {
  const one = node();
  one.take();
  one.at(0);
  one.answer(1);
  return one;
}

Deno.test("a run may begin once its first renewal is answered, and not before", () => {
  const one = node();
  assert.deepEqual(one.take(), []);
  assert.deepEqual(one.at(0), [{ type: "renew", number: 1, runs: [{ id: ID, epoch: 1 }], withinMs: 5_000 }]);
  assert.deepEqual(one.answer(1), [{ type: "begin", id: ID }]);
});

Deno.test("a run that the hub does not give does not begin", () => {
  const one = node();
  one.take();
  one.at(0);
  assert.deepEqual(one.answer(1, [], [ID]), [{ type: "stop", id: ID, why: "lost" }]);
  assert.deepEqual(one.hear({ type: "ended", id: ID, settled: false }), []);
  assert.deepEqual(one.ids, []);
});

Deno.test("all runs are renewed in one request, every third of a lease", () => {
  const one = node();
  const other = "01JBBBBBBBBBBBBBBBBBBBBBBB";
  one.take();
  one.take(3, other);
  const runs = [{ id: ID, epoch: 1 }, { id: other, epoch: 3 }];
  assert.deepEqual(one.at(0), [{ type: "renew", number: 1, runs, withinMs: 5_000 }]);
  one.answer(1, [ID, other]);
  assert.deepEqual(one.at(4_999), []);
  assert.deepEqual(one.at(5_000), [{ type: "renew", number: 2, runs, withinMs: 5_000 }]);
});

Deno.test("what stands still is told how long a run may go on: from its start to its end, by the newest answered renewal", () => {
  const one = node();
  one.take();
  one.at(0);
  assert.deepEqual(one.bounds, [], "nothing has begun");
  one.wake(100);
  one.answer(1);
  const bound = (
    since: number,
    now: number,
  ) => [{ id: ID, askMs: since + killMs - now, killMs: since + guardMs - now }];
  assert.deepEqual(one.bounds, bound(0, 100));
  one.at(5_000);
  assert.deepEqual(one.bounds, bound(0, 5_000), "not answered");
  one.answer(2);
  assert.deepEqual(one.bounds, bound(5_000, 5_000));
  one.at(5_000 + stopMs);
  assert.deepEqual(one.bounds, bound(5_000, 5_000 + stopMs), "while it is being ended");
  one.hear({ type: "ended", id: ID, settled: false });
  assert.deepEqual(one.bounds, []);
});

Deno.test("a lease counts from when the renewal was sent, not from its answer", () => {
  const one = holding();
  one.at(5_000);
  one.wake(11_000);
  one.answer(2);
  assert.ok(!one.at(5_000 + stopMs - 1).some(({ type }) => type === "stop"));
  assert.deepEqual(one.at(5_000 + stopMs).filter(({ type }) => type === "stop"), [
    { type: "stop", id: ID, why: "lapsed" },
  ]);
});

Deno.test("without a renewal a run is told to end, then ended by force, before the lease is over", () => {
  const one = holding();
  assert.ok(!one.at(stopMs - 1).some(({ type }) => type === "stop"));
  assert.deepEqual(one.at(stopMs), [{ type: "stop", id: ID, why: "lapsed" }]);
  assert.deepEqual(one.at(killMs - 1), []);
  assert.deepEqual(one.at(killMs), [{ type: "kill", id: ID }]);
  assert.deepEqual(one.at(killMs + 60_000), []);
});

Deno.test("a node that was stopped and goes on ends its runs before anything else, whatever it is told meanwhile", () => {
  const one = holding();
  one.at(5_000);
  one.wake(70_000);
  assert.deepEqual(one.answer(2), [{ type: "stop", id: ID, why: "lapsed" }, { type: "kill", id: ID }]);
});

Deno.test("an answer of long ago renews nothing", () => {
  const one = node();
  one.take();
  one.at(0);
  one.wake(stopMs);
  assert.deepEqual(one.answer(1), [{ type: "stop", id: ID, why: "lapsed" }]);
});

Deno.test("a renewal that fails is tried again soon, and a short outage costs nothing", () => {
  const one = holding();
  one.at(5_000);
  one.hear({ type: "failed", number: 2 });
  assert.deepEqual(one.at(5_999), []);
  assert.equal(one.at(6_000)[0]?.type, "renew");
  one.answer(3);
  assert.ok(!one.at(6_000 + stopMs - 1).some(({ type }) => type === "stop"));
});

Deno.test("a run that has ended is renewed until the hub has its result, so that nobody else does it again", () => {
  const one = holding();
  one.hear({ type: "ended", id: ID, settled: true });
  assert.equal(one.at(5_000)[0]?.type, "renew");
  one.answer(2);
  assert.deepEqual(one.ids, [ID]);
  one.at(10_000);
  assert.deepEqual(one.answer(3, [], [ID]), [], "there is nothing to stop");
  assert.deepEqual(one.ids, []);
  const alone = holding();
  alone.hear({ type: "ended", id: ID, settled: true });
  alone.at(stopMs);
  assert.deepEqual(alone.ids, [], "or until it would have lapsed");
});

Deno.test("a later epoch has a lease of its own: an answer to an older one does not count", () => {
  const one = holding();
  one.at(5_000);
  one.hear({ type: "ended", id: ID, settled: false });
  one.take(2);
  assert.deepEqual(one.answer(2), []);
  one.at(5_001);
  assert.deepEqual(one.answer(3), [{ type: "begin", id: ID }]);
});

Deno.test("whatever happens, no run goes on past its lease, and none begins without one", () => {
  const answer = fc.record({
    which: fc.constantFrom(0, 0, 0, 1),
    how: fc.constantFrom("renewed", "renewed", "renewed", "lost", "failed"),
  });
  const step = fc.record({
    waitMs: fc.constantFrom(0, 250, 1_000, 3_000, 5_000, 8_000, 11_000, 60_000),
    event: fc.oneof(
      { weight: 6, arbitrary: fc.constant("tick" as const) },
      { weight: 4, arbitrary: fc.constant("take" as const) },
      fc.constant("end" as const),
      { weight: 4, arbitrary: answer },
    ),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let leases: Leases = NO_LEASES;
      let [now, epoch] = [0, 0];
      let alive: { begun: boolean; stopped: boolean } | undefined;
      /** Until when the hub would not give it to another: never sooner than the renewal was sent. */
      let until = -Infinity;
      const sent = new Map<number, number>();
      const hear = (event: LeaseEvent) => {
        const decision = decide(leases, event, now);
        leases = decision.leases;
        for (const effect of decision.effects) {
          if (effect.type === "renew") sent.set(effect.number, now);
          if (effect.type === "begin") {
            assert.ok(alive !== undefined && !alive.begun && !alive.stopped);
            alive.begun = true;
          }
          if (effect.type === "stop" && alive !== undefined) alive.stopped = true;
          if (effect.type === "kill") alive = undefined;
        }
        if (alive?.begun) assert.ok(now - until < killMs, "it has outlived its lease");
      };
      for (const { waitMs, event } of steps) {
        // It looks a few times a second; in between it may be stopped by the system, and then hears other things first.
        now += waitMs;
        if (event === "tick") hear({ type: "tick" });
        else if (event === "take" && alive === undefined) {
          // What an earlier run left is looked at before there is another.
          hear({ type: "tick" });
          alive = { begun: false, stopped: false };
          until = -Infinity;
          epoch++;
          sent.clear();
          hear({ type: "taken", run: { id: ID, epoch }, leaseMs: 15_000 });
          hear({ type: "tick" });
        } else if (event === "end") {
          alive = undefined;
          hear({ type: "ended", id: ID, settled: epoch % 2 === 0 });
        } else if (typeof event === "object") {
          const { which, how } = event;
          const number = [...leases.asked.keys()].at(-1 - which) ?? 0;
          const asked = leases.asked.get(number)?.runs.some((run) => run.epoch === epoch)
            ? sent.get(number)
            : undefined;
          // The hub never answered later than now; the least it grants is from the sending on.
          if (how === "renewed" && asked !== undefined) until = Math.max(until, asked);
          hear(
            how === "failed"
              ? { type: "failed", number }
              : { type: "answered", number, renewed: how === "renewed" ? [ID] : [], lost: how === "lost" ? [ID] : [] },
          );
        }
      }
    }),
    { numRuns: 500 },
  );
});
