/** What a measurement is and gives: ratios, each of xtask against something bare that was timed in turn with it. */

/** One ratio. Higher is always worse. */
export interface Figure {
  /** What was compared with what, in words. */
  readonly name: string;
  /** The median over the rounds. */
  readonly ratio: number;
  /** How much worse than the baseline it may be before it counts, as a share: 0.3 is 30 %. */
  readonly tolerance: number;
  /** What it should be at most, where that was ever said. */
  readonly aim?: number;
  /** What it may be at most: more than 10 % above it counts as worse, whatever the baseline says. */
  readonly budget?: number;
  /** What the ratio was made of on this machine, for people. */
  readonly note: string;
}

/** Something that can be measured alone. */
export interface Measurement {
  /** One word for the command line. */
  readonly name: string;
  readonly summary: string;
  /** Whether its figures have budgets, which the test command looks at as well. */
  readonly budgeted?: boolean;
  /** Measures. `say` tells how far it is; `quick` takes few rounds, enough for a budget. */
  run(say: (line: string) => void, options: { readonly quick: boolean }): Promise<Figure[]>;
}

/** What was measured of each variant: one number for each round, in the unit of whoever measured. */
export type Samples<Name extends string> = Readonly<Record<Name, readonly number[]>>;

/**
 * Runs every variant once in each round, in turn and from another one on in each, so that whatever else the machine does
 * meets all of them.
 *
 * @param variants What to measure; each resolves to its number
 */
export async function interleaved<Name extends string>(
  rounds: number,
  variants: Readonly<Record<Name, () => Promise<number>>>,
): Promise<Samples<Name>> {
  const names = Object.keys(variants) as Name[];
  const samples = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<Name, number[]>;
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length] as Name;
      samples[name].push(await variants[name]());
    }
  }
  return samples;
}

/** The middle value; the mean of the two middle ones of an even number. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low = NaN, high = NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}

/** The median of the rounds' own ratios: a round that was slow for both sides counts as any other. */
export function ratioOf(ours: readonly number[], bare: readonly number[]): number {
  return median(ours.map((value, round) => value / (bare[round] ?? NaN)));
}

/** Milliseconds that something takes. */
export async function timed(act: () => Promise<unknown>): Promise<number> {
  const begun = performance.now();
  await act();
  return performance.now() - begun;
}

/** `1.84 ms (least 1.52)` */
export function inMs(samples: readonly number[]): string {
  const digits = median(samples) < 10 ? 2 : 0;
  return `${median(samples).toFixed(digits)} ms (least ${Math.min(...samples).toFixed(digits)})`;
}
