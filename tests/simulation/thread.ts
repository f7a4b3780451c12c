/** A thread of `deno task sim`: takes seeds, answers with what came of them. */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { type Outcome, simulate } from "./scenario.ts";

self.onmessage = async ({ data: seeds }: MessageEvent<readonly number[]>) => {
  const outcomes: Outcome[] = [];
  for (const seed of seeds) {
    const outcome = await simulate(seed);
    outcomes.push(outcome.violations.length > 0 ? outcome : { ...outcome, steps: [] });
  }
  self.postMessage(outcomes);
};
