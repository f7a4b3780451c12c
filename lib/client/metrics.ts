/** Metrics over time, as charts want them: a bounded number of samples is read, however long the time is. */
import type { Bus } from "../nats/bus.ts";
import { lastOf, nextFrom, type Stamped, STREAM } from "../nats/streams.ts";
import { XtaskError } from "../protocol/error.ts";
import { SERIES_NODES_MAX, SERIES_POINTS_MAX, SERIES_STEP_MS_MIN } from "../protocol/limits.ts";
import { Metrics } from "../protocol/metrics.ts";
import { parseJson } from "../protocol/parse.ts";
import { durationSeries, type NodeSeries, nodeSeries, type Point, type SHARES } from "../protocol/series.ts";
import { metricsSubject } from "../protocol/subjects.ts";

/** What is wanted. Times are in ms since 1970. */
export interface MetricsQuery {
  readonly nodes: readonly string[];
  readonly from: number;
  readonly to: number;
  /** Between points; widened where there would be too many. @default as wide as gives some 120 points */
  readonly stepMs?: number;
}

/** The metrics of some nodes over time. */
export interface MetricsSeries {
  readonly stepMs: number;
  /** Of each point, in ms since 1970. */
  readonly times: readonly number[];
  readonly nodes: Readonly<Record<string, NodeSeries["points"]>>;
  /** Of the runs of all these nodes, in ms. */
  readonly durations: Readonly<Record<keyof typeof SHARES, readonly Point[]>>;
}

/** Samples asked for at once. */
const IN_FLIGHT_MAX = 32;
const POINTS_DEFAULT = 120;

/** The times of the points, the last one being `to`; and the step between them. */
export function pointsOf({ from, to, stepMs }: MetricsQuery): { stepMs: number; times: number[] } {
  if (!(to > from)) {
    throw new XtaskError("invalid", "The time that is asked for is empty", { details: ["expected from before to"] });
  }
  const least = Math.max(SERIES_STEP_MS_MIN, (to - from) / SERIES_POINTS_MAX);
  const step = Math.max(least, stepMs ?? (to - from) / POINTS_DEFAULT);
  const count = Math.max(1, Math.floor((to - from) / step));
  return { stepMs: step, times: Array.from({ length: count }, (_, n) => to - (count - 1 - n) * step) };
}

/**
 * Reads series of metrics. A point tells of the step that ends there.
 *
 * @throws {XtaskError} `invalid` for an empty time, `exhausted` for too many nodes, `unavailable`, `forbidden`
 */
export async function readMetrics(bus: Bus, query: MetricsQuery, signal?: AbortSignal): Promise<MetricsSeries> {
  const { nodes } = query;
  if (nodes.length > SERIES_NODES_MAX) {
    throw new XtaskError("exhausted", `Metrics of ${nodes.length} nodes are too many at once`, {
      details: [`ask for at most ${SERIES_NODES_MAX}`],
    });
  }
  const { stepMs, times } = pointsOf(query);
  // The first sample of a step is that of the point before it: the first point needs one more, the last one the newest.
  const starts = [...times.map((time) => time - stepMs), times.at(-1) as number];
  const wanted = nodes.flatMap((node) => starts.map((start, place) => ({ node, start, place })));
  const found = new Map<string, (Metrics | undefined)[]>(nodes.map((node) => [node, []]));
  const next = wanted.values();
  await Promise.all(Array.from({ length: Math.min(IN_FLIGHT_MAX, wanted.length) }, async () => {
    for (const { node, start, place } of next) {
      signal?.throwIfAborted();
      const last = place === starts.length - 1;
      const subject = metricsSubject(node);
      const message = await nextFrom(bus, STREAM.metrics, subject, new Date(start)) ??
        // Where the last point is now, nothing comes after it.
        (last ? await lastOf(bus, STREAM.metrics, subject) : undefined);
      const samples = found.get(node) as (Metrics | undefined)[];
      samples[place] = sampleWithin(message, [last ? start - stepMs : start, start + stepMs]);
    }
  }));
  const series = new Map([...found].map(([node, samples]) => [node, nodeSeries(samples)]));
  return {
    stepMs,
    times,
    nodes: Object.fromEntries([...series].map(([node, { points }]) => [node, points])),
    durations: durationSeries([...series.values()]),
  };
}

/** By the hub's clock: the node's own may be wrong. */
function sampleWithin(message: Stamped | undefined, [from, to]: [number, number]): Metrics | undefined {
  if (message === undefined) return undefined;
  const at = message.time.getTime();
  if (at < from || at >= to) return undefined;
  try {
    return parseJson(Metrics, message.text, "metrics");
  } catch (error) {
    // A node of another version, or one that tells nonsense, has a gap here.
    if (error instanceof XtaskError) return undefined;
    throw error;
  }
}
