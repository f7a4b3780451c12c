import assert from "node:assert/strict";
import fc from "fast-check";
import { leaseTimes } from "../../protocol/lease.ts";
import { MOVES_MAX, OFFER_MS } from "../../protocol/limits.ts";
import {
  decide,
  holds,
  type Kept,
  keptOf,
  type Placing,
  type PlacingEffect,
  type PlacingEvent,
  revived,
  SUBMITTED,
} from "./decide.ts";

const TIMES = leaseTimes();
const { regrantMs } = TIMES;
const error = { code: "unavailable" as const, message: "it went away" };

/** A command, and a clock. */
function command() {
  let placing: Placing | undefined = SUBMITTED;
  let kept: Kept | undefined;
  let now = 0;
  const hear = (event: PlacingEvent): readonly PlacingEffect[] => {
    if (placing === undefined) return [];
    const decision = decide(placing, event, now, TIMES);
    placing = decision.placing;
    if (decision.effects.some(({ type }) => type === "store") && placing !== undefined) kept = keptOf(placing);
    return decision.effects;
  };
  return {
    hear,
    fit: (node: string) => hear({ type: "fit", node }),
    renew: (node: string, epoch: number) => hear({ type: "renewed", node, epoch }),
    interrupt: (node: string, epoch: number) => hear({ type: "result", node, epoch, state: "interrupted", error }),
    at(moment: number) {
      now = moment;
      return hear({ type: "tick" });
    },
    restart() {
      const decision = kept === undefined ? undefined : revived(kept, now);
      placing = decision?.placing;
      return decision?.effects ?? [];
    },
    get placing() {
      return placing;
    },
    get phase() {
      return placing?.phase.name;
    },
  };
}

/** A command that runs on n1 since 0. */
function held() {
  const one = command();
  one.fit("n1");
  one.renew("n1", 1);
  return one;
}

const types = (effects: readonly PlacingEffect[]) =>
  effects.map((effect) => effect.type === "tell" ? effect.fact.type : effect.type);

Deno.test("an epoch is stored before a node is given it, and told when the node has its lease", () => {
  const one = command();
  assert.deepEqual(one.fit("n1"), [{ type: "store" }, { type: "give", node: "n1", epoch: 1 }]);
  assert.deepEqual(one.fit("n2"), [], "once");
  assert.deepEqual(one.renew("n1", 1), [{ type: "tell", fact: { type: "placed", node: "n1", epoch: 1 } }]);
  assert.deepEqual(one.renew("n1", 1), []);
});

Deno.test("what a node does not take goes to another one at once, then more and more slowly", () => {
  const one = command();
  const refuse = (epoch: number) => one.hear({ type: "refused", node: "n1", epoch, error, final: false });
  one.fit("n1");
  assert.deepEqual(refuse(1), [{ type: "choose", not: "n1" }]);
  one.fit("n1");
  assert.deepEqual(refuse(2), []);
  assert.deepEqual(one.fit("n1"), [], "not yet");
  assert.deepEqual(one.at(250), [{ type: "choose", not: "n1" }]);
  assert.equal(types(one.fit("n1")).at(-1), "give");
  refuse(3);
  assert.deepEqual(one.at(500), []);
  assert.deepEqual(types(one.at(750)), ["choose"]);
});

Deno.test("a refusal that every node would give ends the command", () => {
  const one = command();
  one.fit("n1");
  const effects = one.hear({ type: "refused", node: "n1", epoch: 1, error, final: true });
  assert.deepEqual(effects, [
    { type: "tell", fact: { type: "ended", epoch: 1, state: "refused", error } },
    { type: "drop" },
  ]);
  assert.equal(one.placing, undefined);
});

Deno.test("a node that says nothing loses its offer, and cannot begin after that", () => {
  const one = command();
  one.fit("n1");
  assert.deepEqual(one.at(OFFER_MS - 1), []);
  assert.deepEqual(one.at(OFFER_MS), [{ type: "choose", not: "n1" }]);
  one.renew("n1", 1);
  assert.equal(one.phase, "waiting");
});

Deno.test("a lease that is not renewed is waited out, then its result is looked for, and only then it moves", () => {
  const one = held();
  one.at(4_000);
  one.renew("n1", 1);
  assert.deepEqual(one.at(4_000 + regrantMs - 1), []);
  assert.deepEqual(one.at(4_000 + regrantMs), [{ type: "seek_result", node: "n1", epoch: 1 }]);
  one.renew("n1", 1);
  assert.ok(!holds(one.placing!, "n1", 1), "it is too late");
  const effects = one.hear({ type: "no_result", epoch: 1 });
  assert.deepEqual(types(effects), ["store", "moving", "choose"]);
  assert.match(JSON.stringify(effects), /not heard of for 17 s/);
  assert.deepEqual(one.fit("n2").at(-1), { type: "give", node: "n2", epoch: 2 });
});

Deno.test("a result that was there already is the outcome, and nothing moves", () => {
  const one = held();
  one.at(regrantMs);
  assert.deepEqual(types(one.hear({ type: "result", node: "n1", epoch: 1, state: "succeeded" })), ["placed", "drop"]);
});

Deno.test("an outcome comes with the word that its attempt was placed, unless that was told", () => {
  const told = held();
  told.renew("n1", 1);
  assert.deepEqual(types(told.hear({ type: "result", node: "n1", epoch: 1, state: "succeeded" })), ["drop"]);
  const offered = command();
  offered.fit("n1");
  const effects = offered.hear({ type: "result", node: "n1", epoch: 1, state: "expired" });
  assert.deepEqual(types(effects), ["placed", "drop"], "its deadline passed before its lease began");
});

Deno.test("a node that says that it was interrupted hands the command back at once", () => {
  const one = held();
  assert.deepEqual(types(one.interrupt("n1", 1)), ["store", "moving", "choose"]);
  assert.deepEqual(one.fit("n2").at(-1), { type: "give", node: "n2", epoch: 2 });
});

Deno.test("a result of an older epoch changes nothing; one of the newest ends it, also after its lease", () => {
  const one = held();
  one.interrupt("n1", 1);
  one.fit("n2");
  one.renew("n2", 2);
  assert.deepEqual(one.hear({ type: "result", node: "n1", epoch: 1, state: "succeeded" }), []);
  assert.deepEqual(one.hear({ type: "result", node: "n1", epoch: 2, state: "succeeded" }), [], "not its node");
  one.at(regrantMs);
  one.hear({ type: "no_result", epoch: 2 });
  assert.equal(one.phase, "waiting");
  assert.deepEqual(types(one.hear({ type: "result", node: "n2", epoch: 2, state: "failed" })), ["placed", "drop"]);
});

Deno.test("a wish to end it: at once where no lease has begun, by its node where one has, and at the latest with the lease", () => {
  const waiting = command();
  assert.deepEqual(types(waiting.hear({ type: "cancel" })), ["ended", "drop"]);
  const offered = command();
  offered.fit("n1");
  assert.deepEqual(types(offered.hear({ type: "cancel" })), ["ended", "drop", "ask_cancel"]);
  const one = held();
  assert.deepEqual(one.hear({ type: "cancel" }), [{ type: "store" }, { type: "ask_cancel", node: "n1" }]);
  assert.deepEqual(types(one.renew("n1", 1)), ["ask_cancel"]);
  one.restart();
  one.at(regrantMs);
  const effects = one.hear({ type: "no_result", epoch: 1 });
  assert.deepEqual(types(effects), ["ended", "drop"]);
  assert.match(JSON.stringify(effects), /"state":"cancelled"/);
});

Deno.test("past its deadline what waits is expired; what runs is its node's to end", () => {
  assert.match(JSON.stringify(command().hear({ type: "overdue" })), /"state":"expired"/);
  assert.deepEqual(held().hear({ type: "overdue" }), []);
});

Deno.test("a command that is lost again and again ends, since it may be what takes the nodes down", () => {
  const one = command();
  for (let epoch = 1; epoch < MOVES_MAX; epoch++) {
    one.fit(`n${epoch}`);
    one.renew(`n${epoch}`, epoch);
    assert.deepEqual(types(one.interrupt(`n${epoch}`, epoch)), ["store", "moving", "choose"]);
  }
  one.fit("last");
  one.renew("last", MOVES_MAX);
  const effects = one.interrupt("last", MOVES_MAX);
  assert.deepEqual(types(effects), ["ended", "drop"]);
  assert.match(JSON.stringify(effects), /interrupted.*lost with 10 nodes/);
});

Deno.test("another hub counts every lease as just renewed, and tells again where it runs", () => {
  const one = held();
  one.at(10_000);
  one.restart();
  assert.deepEqual(one.at(10_000 + regrantMs - 1), []);
  assert.deepEqual(types(one.renew("n1", 1)), ["placed"]);
  assert.deepEqual(one.renew("n1", 1), []);
});

Deno.test("another hub looks for a result that has come meanwhile before it gives a command out again", () => {
  const one = held();
  one.interrupt("n1", 1);
  assert.deepEqual(one.restart(), [{ type: "seek_result", node: "n1", epoch: 1 }]);
  assert.deepEqual(one.fit("n2"), []);
  assert.deepEqual(types(one.hear({ type: "no_result", epoch: 1 })), ["choose"]);
  assert.equal(one.placing?.moves, 1, "lost once");
});

Deno.test("whatever happens, no two nodes have a lease, epochs only grow, and the outcome is of the highest one granted", () => {
  const nodes = fc.constantFrom("n1", "n2", "n3");
  /** From the newest one back. */
  const epoch = fc.constantFrom(0, 0, 0, 1, 2);
  const state = fc.constantFrom("succeeded" as const, "interrupted" as const, "cancelled" as const);
  const event = fc.oneof(
    { weight: 8, arbitrary: fc.record({ type: fc.constant("fit" as const), node: nodes }) },
    { weight: 6, arbitrary: fc.record({ type: fc.constant("renewed" as const), node: nodes, epoch }) },
    fc.record({
      type: fc.constant("refused" as const),
      node: nodes,
      epoch,
      error: fc.constant(error),
      final: fc.boolean(),
    }),
    fc.record({ type: fc.constant("result" as const), node: nodes, epoch, state }),
    { weight: 8, arbitrary: fc.record({ type: fc.constant("no_result" as const), epoch }) },
    fc.constant({ type: "cancel" as const }),
    fc.constant({ type: "overdue" as const }),
    fc.constant({ type: "restart" as const }),
  );
  const steps = fc.array(
    fc.record({ waitMs: fc.constantFrom(0, 0, 100, 1_000, 4_000, 5_001, 14_500, 17_000), event }),
    {
      maxLength: 60,
    },
  );
  fc.assert(
    fc.property(steps, (all) => {
      const one = command();
      let [now, granted] = [0, 0];
      /** What a node that was answered may still be doing, by epoch: until its lease is over or it says that its run is. */
      const live = new Map<number, number>();
      const grantedTo = new Map<number, string>();
      for (const { waitMs, event } of all) {
        now += waitMs;
        const effects = [...one.at(now)];
        const before = one.placing;
        if (event.type === "restart") effects.push(...one.restart());
        else if (before !== undefined) {
          // A node says that its run is over when it is.
          if (event.type === "result" && grantedTo.get(event.epoch) === event.node) live.delete(event.epoch);
          effects.push(...one.hear(event));
          if (event.type === "renewed" && one.placing !== undefined && holds(one.placing, event.node, event.epoch)) {
            live.set(event.epoch, now + 15_000);
          }
        }
        for (const [index, effect] of effects.entries()) {
          if (effect.type === "give") {
            assert.ok(effect.epoch > granted, "epochs only grow");
            assert.equal(effects[index - 1]?.type, "store", "an epoch is stored before it is given");
            for (const [epoch, until] of live) assert.ok(until < now, `epoch ${epoch} may still run`);
            granted = effect.epoch;
            grantedTo.set(granted, effect.node);
          }
          if (effect.type === "drop" && event.type === "result" && before !== undefined) {
            if (event.state !== "interrupted") {
              assert.deepEqual([event.epoch, event.node], [granted, grantedTo.get(granted)]);
            }
          }
        }
        for (const epoch of live.keys()) if ((live.get(epoch) ?? 0) < now) live.delete(epoch);
        assert.ok(live.size <= 1, "two nodes have a lease");
      }
    }),
    { numRuns: 1_000 },
  );
});
