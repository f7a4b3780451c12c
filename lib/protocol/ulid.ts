/**
 * ULIDs: 48 bits of time and 80 random ones as 26 characters that sort by time. The package of that name loads node:crypto,
 * which costs every `xtask which` as much as all the rest of it.
 */

const DIGITS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const TIME_LENGTH = 10;
const RANDOM_LENGTH = 16;
const ULID = /^[0-9A-HJKMNP-TV-Z]{26}$/;

/**
 * A new ULID.
 *
 * @param now Milliseconds since 1970
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { isUlid, newUlid } from "./ulid.ts";
 *
 * const id = newUlid(1_469_918_176_385);
 * assert.equal(id.slice(0, 10), "01ARYZ6S41");
 * assert.ok(isUlid(id));
 * ```
 */
export function newUlid(now: number): string {
  let text = timePart(now);
  // 256 is a multiple of 32, so every digit is as likely.
  for (const byte of crypto.getRandomValues(new Uint8Array(RANDOM_LENGTH))) text += DIGITS.charAt(byte % DIGITS.length);
  return text;
}

/** Another ULID's random part at another time. */
export function ulidAt(now: number, other: string): string {
  return timePart(now) + other.slice(TIME_LENGTH);
}

function timePart(now: number): string {
  let text = "";
  for (let rest = now; text.length < TIME_LENGTH; rest = Math.floor(rest / DIGITS.length)) {
    text = DIGITS.charAt(rest % DIGITS.length) + text;
  }
  return text;
}

/** Whether the text is a ULID, in capitals. */
export function isUlid(text: string): boolean {
  return ULID.test(text);
}

/**
 * When a ULID was made, in ms since 1970.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { newUlid, timeOfUlid } from "./ulid.ts";
 *
 * assert.equal(timeOfUlid(newUlid(1_469_918_176_385)), 1_469_918_176_385);
 * ```
 */
export function timeOfUlid(id: string): number {
  return [...id.slice(0, TIME_LENGTH)].reduce((time, digit) => time * DIGITS.length + DIGITS.indexOf(digit), 0);
}
