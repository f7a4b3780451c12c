/** Timers count to 2^31 ms, some 25 days; one that is set for later fires at once. */
const TIMER_MS_MAX = 2 ** 31 - 1;

/**
 * Calls `act` at a moment, in milliseconds since 1970, however far away; at once if it has passed. Disposing calls it off.
 */
export function at(moment: number, now: () => number, act: () => void): Disposable {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const look = () => {
    const leftMs = moment - now();
    if (leftMs <= 0) return act();
    timer = setTimeout(look, Math.min(leftMs, TIMER_MS_MAX));
  };
  look();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
}
