/** Durations as they are typed. */
import { XtaskError } from "../protocol/error.ts";

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

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
  return Number(number) * UNITS[unit as keyof typeof UNITS];
}
