import assert from "node:assert/strict";
import { compare, updated } from "./baseline.ts";
import { interleaved, median, ratioOf } from "./measurement.ts";

const figure = (ratio: number) => ({ name: "one at a time", ratio, tolerance: 0.25, note: "" });
const verdictOf = (ratio: number, baseline = { echo: { "one at a time": 2 } }) =>
  compare([{ measurement: "echo", figures: [figure(ratio)] }], baseline)[0]?.verdict;

Deno.test("a figure is worse only beyond its tolerance, and better only below it", () => {
  assert.deepEqual([1.5, 1.7, 2, 2.5, 2.51, NaN].map((ratio) => verdictOf(ratio)), [
    "better",
    "same",
    "same",
    "same",
    "worse",
    "worse",
  ]);
});

Deno.test("a figure without a committed one is new, which is no failure", () => {
  assert.equal(compare([{ measurement: "other", figures: [figure(9)] }], { echo: {} })[0]?.verdict, "new");
});

Deno.test("a budget may be exceeded by 10 % and no more, whatever the baseline says", () => {
  const budgeted = (ratio: number, baseline: Record<string, Record<string, number>>) =>
    compare([{ measurement: "echo", figures: [{ ...figure(ratio), budget: 1.5 }] }], baseline)[0]?.verdict;
  assert.equal(budgeted(1.64, { echo: { "one at a time": 1.6 } }), "same");
  assert.equal(budgeted(1.66, { echo: { "one at a time": 1.6 } }), "worse");
  assert.deepEqual([budgeted(1.64, {}), budgeted(1.66, {})], ["new", "worse"]);
});

Deno.test("an update replaces what was measured and keeps the rest", () => {
  assert.deepEqual(
    updated([{ measurement: "echo", figures: [figure(1.239)] }], { echo: { gone: 1 }, start: { version: 3 } }),
    { echo: { "one at a time": 1.24 }, start: { version: 3 } },
  );
});

Deno.test("rounds take the variants in turn, and a slow round does not move the ratio", async () => {
  const order: string[] = [];
  const step = (name: string) => () => Promise.resolve(order.push(name));
  await interleaved(3, { a: step("a"), b: step("b") });
  assert.equal(order.join(""), "abbaab");
  assert.equal(ratioOf([2, 200, 2], [1, 100, 1]), 2);
  assert.deepEqual([median([3, 1, 2]), median([4, 1, 2, 3])], [2, 2.5]);
});
