import assert from "node:assert/strict";
import { growthOf } from "./growth.ts";

const samples = (of: (n: number) => number) =>
  Array.from({ length: 30 }, (_, n) => ({ atMs: n * 60_000, value: of(n) }));

Deno.test("what rises steadily is told by the hour, and what only swings has no rise", () => {
  const steady = growthOf(samples((n) => 100 + n));
  assert.deepEqual([steady.first, steady.last, Math.round(steady.perHour), steady.rise], [100, 129, 60, 20]);
  const swings = growthOf(samples((n) => 100 + (n % 5) * 10));
  assert.equal(swings.rise, 0);
  assert.deepEqual(growthOf(samples(() => 7)), { first: 7, last: 7, perHour: 0, rise: 0 });
});
