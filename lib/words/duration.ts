/** Durations as they are typed. */
import { XtaskError } from "../protocol/error.ts";

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
/** A hundred years: from now they reach no moment that a date cannot tell. */
const MAX_MS = 36_500 * UNITS.d;

/**
 * Reads a duration such as `90s`, `10m`, `2h`.
 *
 * @returns milliseconds
 * @throws {XtaskError} `invalid`
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { parseDuration } from "./duration.ts";
 *
 * assert.equal(parseDuration("10m"), 600_000);
 * ```
 */
export function parseDuration(text: string): number {
  const [, number, unit] = /^(\d{1,9})(ms|s|m|h|d)$/.exec(text.trim()) ?? [];
  if (number === undefined || unit === undefined) {
    throw new XtaskError("invalid", `'${text}' is no duration`, { details: ["expected such as 90s, 10m, 2h or 1d"] });
  }
  const ms = Number(number) * UNITS[unit as keyof typeof UNITS];
  if (ms > MAX_MS) throw new XtaskError("invalid", `'${text}' is too long`, { details: ["expected at most 36500d"] });
  return ms;
}
