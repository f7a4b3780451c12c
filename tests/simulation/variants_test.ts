/** Broken variants are caught: what an invariant that holds is worth. */
import assert from "node:assert/strict";
import { catchVariant, VARIANTS } from "./variants.ts";

/** Some promise breaks only where several things go wrong at once. */
const SEEDS_MAX = 600;

for (const variant of VARIANTS) {
  const { name, caughtBy } = variant;
  Deno.test(`${caughtBy.join(" or ")} notices that ${name}`, async () => {
    const caught = await catchVariant(variant, SEEDS_MAX);
    assert.ok(caught, `${SEEDS_MAX} seeds noticed nothing`);
    const expected = caught.invariants.some((invariant) => caughtBy.some((name) => name === invariant));
    assert.ok(expected, `it was noticed by ${caught.invariants}, with seed ${caught.seed}`);
  });
}
