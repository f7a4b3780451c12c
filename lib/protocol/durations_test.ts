import assert from "node:assert/strict";
import fc from "fast-check";
import {
  addDurations,
  countOf,
  type Durations,
  Durations as Schema,
  durationsSince,
  percentile,
  withDuration,
} from "./durations.ts";
import { parse } from "./parse.ts";

const durations = fc.array(fc.integer({ min: 0, max: 2 ** 31 }), { maxLength: 50 });
const countsOf = (all: readonly number[]) => all.reduce<Durations>(withDuration, {});

Deno.test("a percentile is that of the durations themselves, at most 4.5 % off", () => {
  fc.assert(
    fc.property(durations.filter(({ length }) => length > 0), fc.constantFrom(0.5, 0.9, 0.99, 1), (all, share) => {
      const exact = [...all].sort((a, b) => a - b)[Math.max(1, Math.ceil(share * all.length)) - 1] as number;
      const read = percentile(countsOf(all), share) as number;
      assert.ok(Math.abs(read - exact) <= 0.045 * exact + 1e-9, `${read} for ${exact}`);
    }),
  );
  assert.equal(percentile({}, 0.5), undefined);
});

Deno.test("counts of several nodes add up, and what came between two is their difference", () => {
  fc.assert(fc.property(durations, durations, (first, second) => {
    const both = countsOf([...first, ...second]);
    assert.deepEqual(addDurations(countsOf(first), countsOf(second)), both);
    assert.deepEqual(durationsSince(both, countsOf(first)), countsOf(second));
    assert.equal(countOf(both), first.length + second.length);
  }));
});

Deno.test("what a node tells is taken only in buckets that there are", () => {
  assert.deepEqual(parse(Schema, { 0: 3, 256: 1 }, "durations"), { 0: 3, 256: 1 });
  for (const wrong of [{ 257: 1 }, { x: 1 }, { 1: -1 }, { 1: 0.5 }]) {
    assert.throws(() => parse(Schema, wrong, "durations"));
  }
});
