/** Chance that repeats: the same seed gives the same choices in the same order. */

/** Numbers from 0 to 1, one at each call. */
export type Chance = () => number;

/** Mulberry32. */
export function chance(seed: number): Chance {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** One after the other in an order by chance; when each has come they come again in another order. */
export function* inTurns<T>(all: readonly T[], next: Chance): Generator<T, never> {
  for (;;) {
    const left = [...all];
    while (left.length > 0) yield left.splice(Math.floor(next() * left.length), 1)[0] as T;
  }
}

/** The seed that the environment names, or a new one. */
export function seedOf(variable: string): number {
  return Number(Deno.env.get(variable) ?? Math.floor(Math.random() * 2 ** 31));
}
