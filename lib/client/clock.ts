/** How far two clocks are apart, asked over NATS. */
import { Health, type HubProcess } from "../protocol/health.ts";
import type { Fleet } from "./fleet.ts";

/** One question and its answer. */
export interface ClockSample {
  /** This machine's clock when it asked, in ms since 1970. */
  readonly askedAt: number;
  /** From the question to its answer, by a clock that nobody sets, in ms. */
  readonly roundTripMs: number;
  /** The other clock when it answered, in ms since 1970. */
  readonly otherAt: number;
}

/** How far this machine's clock is ahead of the other. */
export interface ClockOffset {
  /** Negative where it is behind. */
  readonly aheadMs: number;
  /** The truth lies within this much of it. */
  readonly errorMs: number;
}

/** What the hub said, and how its clock compares. */
export interface HubHealth extends ClockOffset {
  readonly version: string;
  /** The process that leads, where several take turns. */
  readonly leader: HubProcess | undefined;
  /** The shortest of all round trips. */
  readonly roundTripMs: number;
}

/** A lost or late answer widens the error, so the best of a few is taken. */
const SAMPLES = 5;
/** Times are told in whole milliseconds, by both clocks. */
const GRANULARITY_MS = 1;

/**
 * The offset by the sample that says most: the other clock was read at some moment of the round trip, so its middle is
 * wrong by half of it at most.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { clockOffset } from "./clock.ts";
 *
 * const samples = [
 *   { askedAt: 1_000, roundTripMs: 400, otherAt: 900 },
 *   { askedAt: 2_000, roundTripMs: 10, otherAt: 1_705 },
 * ];
 * assert.deepEqual(clockOffset(samples), { aheadMs: 300, errorMs: 6 });
 * ```
 *
 * @throws {RangeError} without a sample
 */
export function clockOffset(samples: readonly ClockSample[]): ClockOffset {
  const [best] = [...samples].sort((a, b) => a.roundTripMs - b.roundTripMs);
  if (best === undefined) throw new RangeError("Cannot compare clocks without a sample");
  const { askedAt, roundTripMs, otherAt } = best;
  return { aheadMs: askedAt + roundTripMs / 2 - otherAt, errorMs: roundTripMs / 2 + GRANULARITY_MS };
}

/**
 * Asks the hub how it is, a few times.
 *
 * @throws {XtaskError} `unavailable` where no hub answers, `timeout`
 */
export async function hubHealth(fleet: Pick<Fleet, "hub">): Promise<HubHealth> {
  const samples: ClockSample[] = [];
  let [version, leader]: [string, HubProcess | undefined] = ["", undefined];
  for (let asked = 0; asked < SAMPLES; asked++) {
    const askedAt = Date.now();
    const begun = performance.now();
    const health = await fleet.hub("health", "check", {}, Health);
    samples.push({ askedAt, roundTripMs: performance.now() - begun, otherAt: Date.parse(health.now) });
    ({ version, leader } = health);
  }
  return {
    version,
    leader,
    roundTripMs: Math.min(...samples.map(({ roundTripMs }) => roundTripMs)),
    ...clockOffset(samples),
  };
}
