/** The fleet under simulation: see lib/README.md. */
import assert from "node:assert/strict";
import { accountOf, runSeeds } from "./run.ts";
import { simulate } from "./scenario.ts";

/** Seeds that found something once. */
const FOUND: readonly number[] = [106, 128, 165, 192, 240, 249];

Deno.test("every invariant holds in 300 worlds", async () => {
  const failures: string[] = [];
  let commands = 0;
  await runSeeds({ from: 1, count: 300 }, (outcome) => {
    commands += outcome.commands;
    if (outcome.violations.length > 0) failures.push(accountOf(outcome));
  });
  assert.equal(failures.join("\n\n"), "");
  assert.ok(commands > 2_000, "they were asked for something");
});

Deno.test("a seed is the same world whenever it is run", async () => {
  const [first] = FOUND as [number];
  const digests: number[] = [];
  for (const seed of [first, 7, first]) digests.push((await simulate(seed)).digest);
  assert.equal(digests[0], digests[2]);
  assert.notEqual(digests[0], digests[1]);
});
