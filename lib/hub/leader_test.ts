import assert from "node:assert/strict";
import * as fc from "fast-check";
import {
  decide,
  FINISH_MS,
  type LeaderEffect,
  type LeaderEvent,
  type LeaderState,
  leads,
  LEADS_MS,
  newLeader,
  READ_MS,
  RENEW_MS,
  REST_MS,
  RETRY_MS,
  TERM_MS,
} from "./leader.ts";

/** Applies events one after the other, each at its time. */
function through(state: LeaderState, ...events: [number, LeaderEvent][]) {
  let effects: readonly LeaderEffect[] = [];
  for (const [at, event] of events) ({ state, effects } = decide(state, event, at));
  return { state, effects };
}
const tick: LeaderEvent = { type: "tick" };
const read = (revision: number, holder?: string): LeaderEvent => ({ type: "read", revision, holder });
const written = (revision: number): LeaderEvent => ({ type: "written", revision });
/** One that leads since 0. */
const leading = () => through(newLeader("a"), [0, tick], [0, read(0)], [20, written(1)]).state;

Deno.test("where nobody has the key it is taken, and a hub begun; it counts from when the write was sent", () => {
  const first = through(newLeader("a"), [0, tick]);
  assert.deepEqual(first.effects, [{ type: "read" }]);
  const free = through(first.state, [10, read(0)]);
  assert.deepEqual(free.effects, [{ type: "write", revision: 0 }]);
  const { state, effects } = through(free.state, [900, written(1)]);
  assert.deepEqual(effects, [{ type: "begin", begun: 1 }]);
  assert.equal(state.until, 10 + LEADS_MS);
  const late = through(free.state, [10 + LEADS_MS, written(1)]);
  assert.deepEqual(late.effects, [{ type: "write", revision: 1 }], "an answer that late makes no leader");
});

Deno.test("another one's key is taken when it was seen unchanged for a term, whatever happened before", () => {
  const waiting = through(newLeader("b"), [0, tick], [5, read(7, "a")]).state;
  assert.deepEqual(through(waiting, [READ_MS, tick]).effects, []);
  const asked = through(waiting, [5 + READ_MS, tick]);
  assert.deepEqual(asked.effects, [{ type: "read" }]);
  const renewed = through(asked.state, [600, read(8, "a")]).state;
  const again = through(renewed, [5 + TERM_MS, tick], [5 + TERM_MS, read(8, "a")]);
  assert.deepEqual(again.effects, [], "it counts from the renewal that it saw");
  assert.deepEqual(through(again.state, [600 + TERM_MS, tick]).effects, [{ type: "write", revision: 8 }]);
});

Deno.test("it renews in time, and where it could not it writes nothing before another one may begin", () => {
  const state = leading();
  assert.deepEqual(through(state, [RENEW_MS - 1, tick]).effects, []);
  const renewing = through(state, [RENEW_MS, tick]);
  assert.deepEqual(renewing.effects, [{ type: "write", revision: 1 }]);
  const renewed = through(renewing.state, [RENEW_MS + 50, written(2)]).state;
  assert.equal(renewed.until, RENEW_MS + LEADS_MS);
  const unanswered = through(renewing.state, [LEADS_MS - 1, tick]);
  assert.deepEqual(unanswered.effects, []);
  assert.ok(leads(unanswered.state, LEADS_MS - 1));
  const paused = through(unanswered.state, [LEADS_MS, tick]);
  assert.deepEqual(paused.effects, [], "its hub only pauses: it is not known that another one has the key");
  assert.ok(!leads(paused.state, LEADS_MS));
  assert.ok(LEADS_MS < TERM_MS);
});

Deno.test("a write whose fate is not known is looked for: its own is gone on from, another one's ends the hub at once", () => {
  const doubting = through(leading(), [RENEW_MS, tick], [3_000, { type: "failed" }], [3_300, tick]);
  assert.deepEqual(doubting.effects, [{ type: "read" }]);
  const own = through(doubting.state, [3_310, read(2, "a")]);
  assert.deepEqual(own.effects, [{ type: "write", revision: 2 }]);
  const others = through(doubting.state, [3_310, read(2, "b")]);
  assert.deepEqual(others.effects, [{ type: "end" }]);
  assert.ok(!leads(others.state, 3_310));
  const old = through(doubting.state, [3_310, read(0)]);
  assert.ok(leads(old.state, 3_310), "what lags behind takes nothing back");
  const refused = through(leading(), [RENEW_MS, tick], [RENEW_MS + 1, { type: "refused" }]);
  assert.deepEqual(refused.effects.map(({ type }) => type), ["end", "read"]);
  assert.ok(!leads(refused.state, RENEW_MS + 1));
});

Deno.test("a hub goes on where the key was its own all the while, and ends where it was not", () => {
  const paused = through(leading(), [RENEW_MS, tick], [3_000, { type: "failed" }], [9_000, tick]);
  assert.deepEqual(paused.effects, [{ type: "read" }]);
  assert.ok(!leads(paused.state, 9_000));
  const own = through(paused.state, [9_010, read(1, "a")]);
  assert.deepEqual(own.effects, [{ type: "write", revision: 1 }]);
  assert.ok(!leads(own.state, 9_010), "not before it is sure");
  const on = through(own.state, [9_020, written(2)]);
  assert.deepEqual(on.effects, []);
  assert.ok(leads(on.state, 9_020));
  assert.equal(on.state.hub, "on");
  const taken = through(own.state, [9_020, { type: "refused" }]);
  assert.deepEqual(taken.effects.map(({ type }) => type), ["end", "read"]);
});

Deno.test("told to stop, it ends its hub while it still leads, then gives the key back", () => {
  const leaving = through(leading(), [1_000, { type: "leave" }]);
  assert.deepEqual(leaving.effects, [{ type: "end" }]);
  const finishing = through(leaving.state, [RENEW_MS, tick]);
  assert.deepEqual(finishing.effects, []);
  assert.ok(leads(finishing.state, RENEW_MS), "while the hub finishes what it does");
  const released = through(finishing.state, [1_700, { type: "ended", begun: 1, failed: false }]);
  assert.deepEqual(released.effects, [{ type: "release", revision: 1 }]);
  assert.ok(!leads(released.state, 1_700));
  assert.deepEqual(through(released.state, [1_720, written(2)]).effects, [{ type: "gone" }]);
  const waiting = through(newLeader("b"), [0, tick], [5, read(7, "a")], [6, { type: "leave" }]);
  assert.deepEqual(waiting.effects, [{ type: "gone" }]);
});

Deno.test("a hub that does not end in time when told to stop writes no more, and holds nobody up", () => {
  const renewed = through(leading(), [RENEW_MS, tick], [RENEW_MS + 20, written(2)]).state;
  const leaving = through(renewed, [2_900, { type: "leave" }], [2_950, { type: "leave" }]).state;
  const late = 2_900 + FINISH_MS;
  const finishing = through(leaving, [late - 1, tick]);
  assert.deepEqual(finishing.effects, []);
  assert.ok(leads(finishing.state, late - 1), "it needs no write of the key until then");
  const released = through(finishing.state, [late, tick]);
  assert.deepEqual(released.effects, [{ type: "release", revision: 2 }]);
  assert.ok(!leads(released.state, late));
  const gone = through(released.state, [late + 20, written(3)]);
  assert.deepEqual(gone.effects, [{ type: "gone" }]);
  assert.deepEqual(through(gone.state, [9_000, { type: "ended", begun: 1, failed: false }]).effects, []);
  assert.ok(FINISH_MS < LEADS_MS - RENEW_MS);
});

Deno.test("a key that the servers do not take back just now is given back again, for a while", () => {
  const ended: LeaderEvent = { type: "ended", begun: 1, failed: false };
  const released = through(leading(), [1_000, { type: "leave" }], [1_100, ended]);
  const failed = through(released.state, [1_110, { type: "failed" }]);
  assert.deepEqual(failed.effects, [], "not at once: they refuse what they are asked while they elect");
  const again = through(failed.state, [1_110 + RETRY_MS, tick]);
  assert.deepEqual(again.effects, [{ type: "release", revision: 1 }]);
  const given = through(again.state, [1_400, { type: "refused" }]);
  assert.deepEqual(given.effects, [{ type: "gone" }], "it was taken the first time, or another one has the key");
  const never = through(again.state, [1_400, { type: "failed" }], [1_000 + 2 * FINISH_MS, tick]);
  assert.deepEqual(never.effects, [{ type: "gone" }]);
});

Deno.test("a hub that cannot be started leaves the key to another one for a while", () => {
  const failed = through(leading(), [100, { type: "ended", begun: 1, failed: true }]);
  assert.deepEqual(failed.effects, [{ type: "release", revision: 1 }]);
  const rested = through(failed.state, [110, written(2)], [100 + REST_MS - 1, tick]);
  assert.deepEqual(rested.effects, []);
  assert.deepEqual(through(rested.state, [100 + REST_MS, tick]).effects, [{ type: "write", revision: 2 }]);
});

/** A store that everybody sees and writes one after the other, however late questions and answers come. */
class Store {
  readonly writers: string[] = [];
  holder: string | undefined;
  get revision(): number {
    return this.writers.length;
  }
  answer(effect: LeaderEffect, by: string): LeaderEvent {
    if (effect.type === "read") return { type: "read", revision: this.revision, holder: this.holder };
    if (effect.type !== "write" && effect.type !== "release") throw new TypeError(effect.type);
    if (effect.revision !== this.revision) return { type: "refused" };
    this.writers.push(by);
    this.holder = effect.type === "write" ? by : undefined;
    return { type: "written", revision: this.revision };
  }
}

/** What is decided by chance: small at most times, now and then long or never. */
const lag = fc.oneof({ weight: 6, arbitrary: fc.integer({ min: 0, max: 80 }) }, {
  weight: 2,
  arbitrary: fc.integer({ min: 0, max: 9_000 }),
}, { weight: 1, arbitrary: fc.constant(Infinity) });
const world = fc.record({
  clocks: fc.array(
    fc.record({ offset: fc.integer({ min: 0, max: 1e6 }), rate: fc.double({ min: 0.95, max: 1.05, noNaN: true }) }),
    { minLength: 2, maxLength: 3 },
  ),
  lags: fc.array(lag, { minLength: 40, maxLength: 200 }),
  /** Stopped and continued, as by a debugger: who, from when, how long. */
  stalls: fc.array(fc.tuple(fc.nat(2), fc.nat(60_000), fc.integer({ min: 500, max: 15_000 })), { maxLength: 4 }),
  leave: fc.option(fc.tuple(fc.nat(2), fc.nat(60_000))),
});
const CALM_AT = 70_000;
const STEP_MS = 50;

/** Runs processes against a store; after a while nothing goes wrong any more. Returns who led at the end. */
function run({ clocks, lags, stalls, leave }: typeof world extends fc.Arbitrary<infer W> ? W : never): string[] {
  const store = new Store();
  let [dice, at] = [0, 0];
  const due: { at: number; act: () => void }[] = [];
  const later = (inMs: number, act: () => void) => {
    if (inMs !== Infinity) due.push({ at: at + inMs, act });
  };
  const chance = () => at >= CALM_AT ? 5 : lags[dice++ % lags.length]!;
  const processes = clocks.map(({ offset, rate }, index) => ({
    clock: () => offset + at * rate,
    state: newLeader(`p${index}`),
    inbox: [] as LeaderEvent[],
    led: { begun: 0, revision: 0 },
    stalled: () => at < CALM_AT && stalls.some(([who, from, ms]) => who === index && from <= at && at < from + ms),
  }));
  const leading = () => processes.filter(({ state, clock }) => leads(state, clock()));
  const perform = (process: (typeof processes)[number], effect: LeaderEffect) => {
    const tell = (event: LeaderEvent) => void process.inbox.push(event);
    if (effect.type === "begin" || effect.type === "gone") return;
    const { begun, self } = process.state;
    if (effect.type === "end") {
      const ms = process.state.leaving === "no" ? Math.min(chance(), 3_000) : chance();
      return later(ms, () => tell({ type: "ended", begun, failed: false }));
    }
    const [there, back] = [chance(), chance()];
    let known = false;
    const once = (event: LeaderEvent) => {
      if (!known) tell(event);
      known = true;
    };
    later(there, () => {
      const answer = store.answer(effect, self);
      later(back, () => once(answer));
    });
    later(1_500, () => once({ type: "failed" }));
  };
  for (; at < CALM_AT + 30_000; at += STEP_MS) {
    for (const one of due.filter((one) => one.at <= at)) one.act();
    due.splice(0, due.length, ...due.filter((one) => one.at > at));
    if (leave !== null && leave[1] <= at && leave[1] > at - STEP_MS) {
      processes[leave[0] % processes.length]!.inbox.push({ type: "leave" });
    }
    for (const process of processes) {
      if (process.stalled()) continue;
      for (const event of [...process.inbox.splice(0), tick]) {
        const decided = decide(process.state, event, process.clock());
        process.state = decided.state;
        for (const effect of decided.effects) perform(process, effect);
      }
    }
    for (const process of leading()) {
      const { begun, self, seen } = process.state;
      if (process.led.begun === begun) {
        const since = store.writers.slice(process.led.revision, seen?.revision);
        assert.ok(since.every((writer) => writer === self), `at ${at} ms the hub of ${self} goes on after another one`);
      }
      process.led = { begun, revision: seen?.revision ?? 0 };
    }
    const names = leading().map(({ state }) => state.self);
    assert.ok(names.length <= 1, `at ${at} ms ${names.join(" and ")} lead`);
  }
  return leading().map(({ state }) => state.self);
}

Deno.test("whatever is late, lost or stopped: never two lead, and in the end one does", () => {
  fc.assert(
    fc.property(world, (given) => {
      assert.equal(run(given).length, 1);
    }),
    { numRuns: 300 },
  );
});
