/** A thread of `deno task sim`: takes seeds, answers with what came of them. */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { type Outcome, simulate } from "./scenario.ts";

// Half of all errors are those of a link that is down, and their stacks cost more than what is done about them.
Error.stackTraceLimit = 0;

self.onmessage = async ({ data: seeds }: MessageEvent<readonly number[]>) => {
  const outcomes: Outcome[] = [];
  for (const seed of seeds) {
    const outcome = await simulate(seed);
    outcomes.push(outcome.violations.length > 0 ? outcome : { ...outcome, steps: [] });
  }
  self.postMessage(outcomes);
};
