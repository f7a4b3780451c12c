/** When to try a download again, and when to give it up. */

/** Tries in a row that got no further before a download is given up. */
export const FRUITLESS_MAX = 5;
/** Tries altogether. A poor link that gets a little further each time may take many. */
export const TRIES_MAX = 100;
/** A server that asks for a longer pause than this is asked no more. */
export const RETRY_AFTER_MAX_MS = 60_000;

const PAUSE_MAX_MS = 30_000;

/**
 * How long to wait before the next try: doubling, and spread over its upper half so that many nodes do not come back at once.
 *
 * @param fruitless Tries in a row that got no further
 * @param baseMs The longest first pause
 * @param random Uniform in [0, 1)
 */
export function pauseMs(fruitless: number, baseMs: number, random: number): number {
  const most = Math.min(PAUSE_MAX_MS, baseMs * 2 ** Math.max(0, fruitless - 1));
  return Math.round(most * (0.5 + random / 2));
}

/** What a `Retry-After` header asks for, in ms from `now`: seconds or a date. Undefined if there is none that can be read. */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000;
  // Date.parse reads nearly anything as a date, "-5" too; HTTP's dates begin with the day's name.
  const at = /^[A-Z][a-z]{2}/.test(header) ? Date.parse(header) : NaN;
  return Number.isNaN(at) ? undefined : Math.max(0, at - now);
}
