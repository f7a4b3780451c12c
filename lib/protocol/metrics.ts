/**
 * What a node measures of itself, every 10 s. Counters are cumulative since the agent started: what happened between any
 * two samples is their difference, whatever was lost in between, and one sample for each step of a chart is enough.
 */
import * as v from "valibot";
import { Durations } from "./durations.ts";
import { Id } from "./id.ts";
import { Slots } from "./node.ts";
import { Time } from "./time.ts";

const Amount = v.pipe(v.number(), v.finite(), v.minValue(0));
const Count = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

/** A reason in the system's words. */
export const TROUBLE_CHARS_MAX = 300;

/** How runs end. */
export const ENDS = ["succeeded", "failed", "cancelled", "interrupted", "expired"] as const;
/** How a run ended. */
export type End = (typeof ENDS)[number];

/** What a node cannot write: its journal, or the store of its own server. Told past both. */
export const Trouble = v.object({
  of: v.picklist(["journal", "store"]),
  reason: v.pipe(v.string(), v.maxLength(TROUBLE_CHARS_MAX)),
});
/** What a node cannot write. */
export type Trouble = v.InferOutput<typeof Trouble>;

/** A sample of one node. */
export const Metrics = v.object({
  node: Id,
  at: Time,
  /** When the agent started: counters of `runs` begin there. */
  since: Time,
  cpu: v.object({
    /** Of all cores over the time since the sample before. */
    percent: v.pipe(v.number(), v.minValue(0), v.maxValue(100)),
    /** Of all cores since the machine started. */
    busyMs: Amount,
    totalMs: Amount,
    cores: Count,
  }),
  memory: v.object({ usedBytes: Amount, totalBytes: Amount }),
  /** Load average over one minute; 0 on Windows, which has none. */
  load: Amount,
  /** Of the file system that the offered folder is on; absent where that cannot be told. */
  disk: v.optional(v.object({ usedBytes: Amount, freeBytes: Amount })),
  /** Runs of verbs that change something, since the agent started. */
  runs: v.object({
    started: Count,
    ended: v.object({ succeeded: Count, failed: Count, cancelled: Count, interrupted: Count, expired: Count }),
    /** Of those that had started. */
    durations: Durations,
  }),
  slots: Slots,
  queued: Count,
  /** Reports that the hub has not acknowledged yet. */
  backlogBytes: Amount,
  /** Absent where there is none. */
  troubles: v.optional(v.pipe(v.array(Trouble), v.maxLength(4))),
});
/** A sample of one node. */
export type Metrics = v.InferOutput<typeof Metrics>;

/** Nothing has run yet. */
export const NO_RUNS: Metrics["runs"] = {
  started: 0,
  ended: { succeeded: 0, failed: 0, cancelled: 0, interrupted: 0, expired: 0 },
  durations: {},
};
