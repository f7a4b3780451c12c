/** The fleet under simulation: see lib/README.md. */
import assert from "node:assert/strict";
import { accountOf, runSeeds } from "./run.ts";
import { simulate } from "./scenario.ts";

/**
 * Seeds beyond the first 300 that found something once: a node's server that was never linked again, a record that went back,
 * output without its end. What each of them was has a test of its own beside the code that was at fault.
 */
const FOUND: readonly number[] = [381, 510, 722, 869, 968, 1080, 1090, 1115, 1150, 1183, 1396, 1654, 1675, 2097];

Deno.test("every invariant holds in 300 worlds, and in those that found something once", async () => {
  const failures: string[] = [];
  let commands = 0;
  await runSeeds([...Array.from({ length: 300 }, (_, at) => at + 1), ...FOUND], (outcome) => {
    commands += outcome.commands;
    if (outcome.violations.length > 0) failures.push(accountOf(outcome));
  });
  assert.equal(failures.join("\n\n"), "");
  assert.ok(commands > 2_000, "they were asked for something");
});

Deno.test("a seed is the same world whenever it is run", async () => {
  const digests: number[] = [];
  for (const seed of [106, 7, 106]) digests.push((await simulate(seed)).digest);
  assert.equal(digests[0], digests[2]);
  assert.notEqual(digests[0], digests[1]);
});
