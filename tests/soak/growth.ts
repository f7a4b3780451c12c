/** What grows: samples of a number over time, how fast they rise, and whether that is more than noise. Pure. */

/** A number at a time. */
export interface Sample {
  readonly atMs: number;
  readonly value: number;
}

/** How a number went. */
export interface Growth {
  readonly first: number;
  readonly last: number;
  readonly perHour: number;
  /** From the least of the first third to the least of the last: what garbage is collected meanwhile does not count. */
  readonly rise: number;
}

/** Looks at samples, in order of time. */
export function growthOf(samples: readonly Sample[]): Growth {
  const third = Math.max(1, Math.floor(samples.length / 3));
  const least = (some: readonly Sample[]) => Math.min(...some.map(({ value }) => value));
  return {
    first: samples[0]?.value ?? NaN,
    last: samples.at(-1)?.value ?? NaN,
    perHour: slopeOf(samples) * 3_600_000,
    rise: least(samples.slice(-third)) - least(samples.slice(0, third)),
  };
}

/** Least squares: by how much the value rises in a millisecond. */
function slopeOf(samples: readonly Sample[]): number {
  const mean = (of: (sample: Sample) => number) =>
    samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length;
  const [at, value] = [mean((sample) => sample.atMs), mean((sample) => sample.value)];
  const spread = samples.reduce((sum, sample) => sum + (sample.atMs - at) ** 2, 0);
  return spread === 0
    ? 0
    : samples.reduce((sum, sample) => sum + (sample.atMs - at) * (sample.value - value), 0) / spread;
}
