/** `/api/v1/metrics`: what nodes measured, over time. */
import * as v from "valibot";
import { readMetrics } from "../../client/metrics.ts";
import { XtaskError } from "../../protocol/error.ts";
import { SERIES_NODES_MAX, SERIES_STEP_MS_MIN } from "../../protocol/limits.ts";
import { parse } from "../../protocol/parse.ts";
import { SERIES, SHARES } from "../../protocol/series.ts";
import { parseDuration } from "../../words/duration.ts";
import { type ApiRoute, route, whole } from "./route.ts";

const Points = v.array(v.nullable(v.number()));
const ofEach = <K extends string>(names: readonly K[]) =>
  v.object(Object.fromEntries(names.map((name) => [name, Points])) as Record<K, typeof Points>);
const Answer = v.object({
  stepMs: v.number(),
  /** Of each point, in ms since 1970: it tells of the step that ends there. */
  times: v.array(v.number()),
  nodes: v.record(v.string(), ofEach(SERIES)),
  /** Of the runs of all these nodes, in ms. */
  durations: ofEach(Object.keys(SHARES) as (keyof typeof SHARES)[]),
  /** How many nodes were meant; more than there are series where they were too many. */
  matching: v.number(),
});
const Moment = whole({ min: 0, max: 1e14 });
const DEFAULT_RANGE = "1h";
const RANGE_MS_MAX = 31 * 24 * 60 * 60_000;

/** The routes. */
export const METRICS_ROUTES: readonly ApiRoute[] = [
  route({
    method: "GET",
    path: "/metrics",
    name: "readMetrics",
    summary: "What nodes measured, over time",
    description: "For a range until now, or from one moment to another. A number is null where nothing is known.",
    tag: "nodes",
    query: {
      select: v.optional(v.pipe(v.string(), v.description("Which nodes, as a selector")), "all"),
      range: v.optional(v.pipe(v.string(), v.description("How far back: 15m, 1h, 24h")), DEFAULT_RANGE),
      from: v.optional(v.pipe(Moment, v.description("In ms since 1970, in place of a range"))),
      to: v.optional(v.pipe(Moment, v.description("In ms since 1970; now, unless it is said"))),
      step: v.optional(
        v.pipe(whole({ min: SERIES_STEP_MS_MIN, max: RANGE_MS_MAX }), v.description("Between points, in ms")),
      ),
    },
    answer: Answer,
    answers: [{ status: 200, says: "Series of points, the last one at the end of the time" }],
    async handle({ query: { select, range, from, to = Date.now(), step } }, context) {
      const begin = from ?? to - parseDuration(range);
      if (to - begin > RANGE_MS_MAX) {
        throw new XtaskError("invalid", "So much time is not looked at at once", { details: ["expected at most 31d"] });
      }
      const meant = await context.get("fleet").nodes(select);
      const nodes = meant.map(({ id }) => id).slice(0, SERIES_NODES_MAX);
      const stepMs = step === undefined ? {} : { stepMs: step };
      const { signal } = context.get("caller");
      const series = await readMetrics(context.get("fleet").bus, { nodes, from: begin, to, ...stepMs }, signal);
      return parse(Answer, { ...series, matching: meant.length }, "series");
    },
  }),
];
