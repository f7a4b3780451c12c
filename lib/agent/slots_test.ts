import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { QUEUE_MAX } from "../protocol/limits.ts";
import { Slots } from "./slots.ts";

const never = () => new AbortController().signal;

Deno.test("slots are given out in the order of asking, never more than there are", async () => {
  const slots = new Slots(2);
  const begun: number[] = [];
  const waiting = Array.from({ length: 6 }, async (_, at) => {
    using _slot = await slots.acquire(never());
    begun.push(at);
    assert.ok(slots.free >= 0);
    await setImmediate();
  });
  assert.deepEqual([slots.free, slots.queued], [0, 4]);
  await Promise.all(waiting);
  assert.deepEqual(begun, [0, 1, 2, 3, 4, 5]);
  assert.deepEqual([slots.free, slots.queued], [2, 0]);
});

Deno.test("whoever gives up waiting leaves the line, with the signal's own reason", async () => {
  const slots = new Slots(1);
  const first = await slots.acquire(never());
  const abort = new AbortController();
  const second = slots.acquire(abort.signal);
  const third = slots.acquire(never());
  const reason = new Error("cancelled");
  abort.abort(reason);
  await assert.rejects(second, (error) => error === reason);
  assert.equal(slots.queued, 1);
  first[Symbol.dispose]();
  (await third)[Symbol.dispose]();
  assert.equal(slots.free, 1);
  await assert.rejects(slots.acquire(AbortSignal.abort(reason)), (error) => error === reason);
  assert.equal(slots.free, 1, "what was never taken is not given back");
});

Deno.test("a slot given back twice is one slot", async () => {
  const slots = new Slots(1);
  const slot = await slots.acquire(never());
  slot[Symbol.dispose]();
  slot[Symbol.dispose]();
  assert.equal(slots.free, 1);
});

Deno.test("one more than may wait is refused as exhausted", async () => {
  const slots = new Slots(1);
  const abort = new AbortController();
  const taken = Array.from({ length: 1 + QUEUE_MAX }, () => {
    slots.assertRoom();
    return slots.acquire(abort.signal);
  });
  assert.throws(() => slots.assertRoom(), { code: "exhausted" });
  abort.abort(new Error("enough"));
  await Promise.allSettled(taken);
  slots.assertRoom();
});

Deno.test("whoever comes, goes and gives up in whatever order, every slot comes back", async () => {
  const action = fc.record({ do: fc.constantFrom("acquire", "release", "abort", "turn"), which: fc.nat(20) });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), fc.array(action, { maxLength: 60 }), async (total, actions) => {
      const slots = new Slots(total);
      const askers: { abort: AbortController; got?: Disposable; gone: boolean; settled: Promise<void> }[] = [];
      for (const { do: what, which } of actions) {
        const asker = askers[which % Math.max(1, askers.length)];
        if (what === "acquire") {
          const abort = new AbortController();
          const made: (typeof askers)[number] = { abort, gone: false, settled: Promise.resolve() };
          made.settled = slots.acquire(abort.signal).then(
            (slot) => void (made.got = slot),
            () => void (made.gone = true),
          );
          askers.push(made);
        } else if (what === "release") {
          asker?.got?.[Symbol.dispose]();
        } else if (what === "abort") asker?.abort.abort(new Error("gave up"));
        else await setImmediate();
        assert.ok(
          slots.free >= 0 && slots.free <= total && (slots.free === 0 || slots.queued === 0),
          "somebody waits beside a free slot",
        );
      }
      for (const asker of askers) asker.abort.abort(new Error("end"));
      await Promise.all(askers.map(({ settled }) => settled));
      for (const { got } of askers) got?.[Symbol.dispose]();
      assert.deepEqual([slots.free, slots.queued], [total, 0]);
    }),
  );
});

Deno.test("what runs already takes its slot though there is none, and nobody starts before there is one again", async () => {
  const slots = new Slots(1);
  const running = [slots.occupy(), slots.occupy()];
  assert.equal(slots.free, 0);
  let started = false;
  const waiting = slots.acquire(new AbortController().signal).then((slot) => (started = true, slot));
  running[0]?.[Symbol.dispose]();
  await setImmediate();
  assert.ok(!started, "one is still in the place of two");
  running[1]?.[Symbol.dispose]();
  (await waiting)[Symbol.dispose]();
  assert.deepEqual([slots.free, slots.queued], [1, 0]);
});
