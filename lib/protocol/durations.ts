/**
 * Durations of runs as counts in fixed, logarithmic buckets. Buckets never change, so that counts of many nodes and times
 * add up exactly, and what came between two cumulative counts is their difference.
 */
import * as v from "valibot";

/** Eight buckets each time a duration doubles: what is read back is at most 4.5 % off. */
const PER_DOUBLING = 8;
/** The last bucket takes all from 49 days on. */
const BUCKETS = 32 * PER_DOUBLING + 1;

const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** Counts by bucket; buckets that are empty are left out. */
export const Durations = v.pipe(
  v.record(v.pipe(v.string(), v.regex(/^\d{1,3}$/, "expected the number of a bucket")), Count),
  v.check(
    (counts) => Object.keys(counts).every((bucket) => Number(bucket) < BUCKETS),
    `expected at most ${BUCKETS} buckets`,
  ),
);
/** Counts by bucket. */
export type Durations = Readonly<v.InferOutput<typeof Durations>>;

/** The bucket of a duration: 0 for less than a millisecond, then each an eighth of a doubling. */
function bucketOf(ms: number): number {
  return ms < 1 ? 0 : Math.min(BUCKETS - 1, 1 + Math.floor(Math.log2(ms) * PER_DOUBLING));
}

/** The counts with one more duration. */
export function withDuration(counts: Durations, ms: number): Durations {
  const bucket = bucketOf(ms);
  return { ...counts, [bucket]: (counts[bucket] ?? 0) + 1 };
}

/** The counts of both. */
export function addDurations(a: Durations, b: Durations): Durations {
  const sum: Record<string, number> = { ...a };
  for (const [bucket, count] of Object.entries(b)) sum[bucket] = (sum[bucket] ?? 0) + count;
  return sum;
}

/** What came between two cumulative counts. A bucket that shrank, which no honest node tells, counts as nothing. */
export function durationsSince(later: Durations, earlier: Durations): Durations {
  return Object.fromEntries(
    Object.entries(later).map(([bucket, count]) => [bucket, count - (earlier[bucket] ?? 0)] as const)
      .filter(([, count]) => count > 0),
  );
}

/** How many durations there are. */
export function countOf(counts: Durations): number {
  return Object.values(counts).reduce((sum, count) => sum + count, 0);
}

/**
 * The duration that a share of all stays within, in ms; undefined where there are none.
 *
 * @param share Between 0 and 1: 0.5 is the median
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { percentile, withDuration } from "./durations.ts";
 *
 * const counts = [100, 200, 5_000].reduce<Record<string, number>>((all, ms) => withDuration(all, ms), {});
 * assert.ok(Math.abs(percentile(counts, 0.5)! - 200) < 0.045 * 200);
 * ```
 */
export function percentile(counts: Durations, share: number): number | undefined {
  const rank = Math.max(1, Math.ceil(share * countOf(counts)));
  let seen = 0;
  for (const bucket of Object.keys(counts).map(Number).sort((a, b) => a - b)) {
    seen += counts[bucket] ?? 0;
    // The middle of the bucket, as its logarithm goes.
    if (seen >= rank) return bucket === 0 ? 0 : 2 ** ((bucket - 0.5) / PER_DOUBLING);
  }
  return undefined;
}
