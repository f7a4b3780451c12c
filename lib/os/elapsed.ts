/**
 * Time as it passes for everybody: in ms, from some moment on, never back. `performance.now` stands still while a machine
 * sleeps, on most systems; what the system says of how long it has been up does not, but only in whole seconds.
 */

/** Clocks that {@linkcode elapsedClock} is made of. */
export interface ElapsedOptions {
  /** In ms. @default {performance.now} */
  readonly awakeMs?: () => number;
  /** In seconds. @default {Deno.osUptime} */
  readonly upS?: () => number;
}

/** Whole seconds may be off by so much, either way. */
const ROUNDING_MS = 2_000;

/** Such a clock. */
export function elapsedClock({ awakeMs = () => performance.now(), upS = Deno.osUptime }: ElapsedOptions = {}) {
  const begun = { awakeMs: awakeMs(), upMs: upS() * 1_000 };
  let asleepMs = 0;
  return (): number => {
    const awake = awakeMs() - begun.awakeMs;
    const asleep = upS() * 1_000 - begun.upMs - awake;
    // A part of a second more or less is how the seconds fall.
    if (asleep > asleepMs + ROUNDING_MS) asleepMs = asleep;
    return awake + asleepMs;
  };
}
