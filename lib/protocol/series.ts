/** Samples of a node over time as series for charts. Pure: one sample for each step in, one point for each step out. */
import { addDurations, type Durations, durationsSince, percentile } from "./durations.ts";
import { ENDS, type Metrics, NO_RUNS } from "./metrics.ts";

/** A point; null where nothing is known. */
export type Point = number | null;

/** What is drawn of each node. Rates are per minute, over the time since the point before. */
export const SERIES = [
  "cpuPercent",
  "memoryPercent",
  "load",
  "diskFreeBytes",
  "slotsBusy",
  "queued",
  "backlogBytes",
  "startedPerMinute",
  "succeededPerMinute",
  "failedPerMinute",
] as const;
/** What is drawn of each node. */
export type SeriesName = (typeof SERIES)[number];

/** The series of one node. */
export interface NodeSeries {
  readonly points: Readonly<Record<SeriesName, readonly Point[]>>;
  /** Durations of the runs that ended since the point before. */
  readonly durations: readonly Durations[];
}

/** The shares that durations are told by. */
export const SHARES = { p50: 0.5, p90: 0.9, p99: 0.99 } as const;

/**
 * The series of a node.
 *
 * @param samples The first one stands for what was before the first point, and is no point itself
 */
export function nodeSeries(samples: readonly (Metrics | undefined)[]): NodeSeries {
  const points = Object.fromEntries(SERIES.map((name) => [name, [] as Point[]])) as Record<SeriesName, Point[]>;
  const durations: Durations[] = [];
  let before = samples[0];
  for (const sample of samples.slice(1)) {
    // One that was there before is no news: it was the newest when the step began as well.
    const step = sample === undefined || sample.at === before?.at ? undefined : stepTo(before, sample);
    for (const name of SERIES) points[name].push(step?.values[name] ?? null);
    durations.push(step?.durations ?? {});
    // What happened while nothing was heard is told by the next sample, and lost nowhere.
    before = sample ?? before;
  }
  return { points, durations };
}

/** The durations of all nodes at each point, as what a share of them stayed within, in ms. */
export function durationSeries(
  nodes: readonly NodeSeries[],
): Readonly<Record<keyof typeof SHARES, readonly Point[]>> {
  const steps = Math.max(0, ...nodes.map(({ durations }) => durations.length));
  const merged = Array.from(
    { length: steps },
    (_, step) => nodes.reduce<Durations>((sum, { durations }) => addDurations(sum, durations[step] ?? {}), {}),
  );
  const of = (share: number) => merged.map((counts) => percentile(counts, share) ?? null);
  return { p50: of(SHARES.p50), p90: of(SHARES.p90), p99: of(SHARES.p99) };
}

/** What the runs of a node did between two samples, and in how many ms. */
export function runsBetween(before: Metrics, after: Metrics): { runs: Metrics["runs"]; elapsedMs: number } {
  const again = before.since !== after.since;
  // An agent that started anew counts from nothing.
  const from = again ? NO_RUNS : before.runs;
  const begun = again ? Math.max(Date.parse(before.at), Date.parse(after.since)) : Date.parse(before.at);
  const grown = (later: number, earlier: number) => Math.max(0, later - earlier);
  const ended = { ...after.runs.ended };
  for (const end of ENDS) ended[end] = grown(after.runs.ended[end], from.ended[end]);
  return {
    runs: {
      started: grown(after.runs.started, from.started),
      ended,
      durations: durationsSince(after.runs.durations, from.durations),
    },
    elapsedMs: grown(Date.parse(after.at), begun),
  };
}

function stepTo(before: Metrics | undefined, sample: Metrics) {
  const { cpu, memory, load, disk, slots, queued, backlogBytes } = sample;
  const between = before === undefined ? undefined : runsBetween(before, sample);
  const perMinute = (count: number | undefined): Point =>
    count === undefined || between === undefined || between.elapsedMs === 0 ? null : count * 60_000 / between.elapsedMs;
  const busyMs = before === undefined ? 0 : cpu.busyMs - before.cpu.busyMs;
  const totalMs = before === undefined ? 0 : cpu.totalMs - before.cpu.totalMs;
  const values: Record<SeriesName, Point> = {
    // Over the whole step; where the machine was started meanwhile, over the last ten seconds.
    cpuPercent: totalMs > 0 && busyMs >= 0 ? Math.min(100, 100 * busyMs / totalMs) : cpu.percent,
    memoryPercent: memory.totalBytes > 0 ? 100 * memory.usedBytes / memory.totalBytes : null,
    load,
    diskFreeBytes: disk?.freeBytes ?? null,
    slotsBusy: slots.total - slots.free,
    queued,
    backlogBytes,
    startedPerMinute: perMinute(between?.runs.started),
    succeededPerMinute: perMinute(between?.runs.ended.succeeded),
    failedPerMinute: perMinute(between && between.runs.ended.failed + between.runs.ended.expired),
  };
  return { values, durations: between?.runs.durations ?? {} };
}
