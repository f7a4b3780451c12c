/** A thread of `deno task sim`: takes seeds, answers with what came of them. */
/// <reference no-default-lib="true" />
/// <reference lib="deno.worker" />
import { type Outcome, type Share, simulate } from "./scenario.ts";

self.onmessage = async ({ data: { from, count } }: MessageEvent<Share>) => {
  const outcomes: Outcome[] = [];
  for (let seed = from; seed < from + count; seed++) {
    const outcome = await simulate(seed);
    outcomes.push(outcome.violations.length > 0 ? outcome : { ...outcome, steps: [] });
  }
  self.postMessage(outcomes);
};
