/** Chance from a seed: the same seed gives the same numbers, on every machine. */

/** A source of chance. */
export class Random {
  #state: number;

  /** @param seed A number, or a number and a word: sources with other words have nothing in common */
  constructor(seed: number, word = "") {
    let state = seed | 0;
    for (const char of word) state = Math.imul(state ^ char.charCodeAt(0), 0x01000193);
    this.#state = state;
    for (let i = 0; i < 4; i++) this.next();
  }

  /** From 0 to under 1. */
  next(): number {
    this.#state = this.#state + 0x6D2B79F5 | 0;
    let mixed = Math.imul(this.#state ^ this.#state >>> 15, 1 | this.#state);
    mixed = mixed + Math.imul(mixed ^ mixed >>> 7, 61 | mixed) ^ mixed;
    return ((mixed ^ mixed >>> 14) >>> 0) / 4294967296;
  }

  between(least: number, most: number): number {
    return least + (most - least) * this.next();
  }

  /** A whole number from `least` to `most`. */
  int(least: number, most: number): number {
    return least + Math.floor((most - least + 1) * this.next());
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.int(0, from.length - 1)] as T;
  }

  /** Mostly short, sometimes long. */
  around(mean: number): number {
    return -mean * Math.log(1 - this.next());
  }
}
