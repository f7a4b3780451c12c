/** Alerts: what a person should know, once, under a key that says what it is about, until it is over. */
import * as v from "valibot";
import { By } from "./by.ts";
import { SEVERITIES } from "./event.ts";
import { ALERT_MUTE_MS_MAX } from "./limits.ts";
import { Time } from "./time.ts";

/** What alerts are about. `told` is what a node or the hub said itself; it is over when somebody acknowledges it. */
export const ALERT_KINDS = [
  "node_away",
  "clock_skew",
  "disk_low",
  "outbox_growing",
  "run_stuck",
  "write_failing",
  "told",
] as const;

/** What an alert is about. */
export type AlertKind = (typeof ALERT_KINDS)[number];

/** `{kind}.{node}`, or `{kind}.{what}.{node}`: also its key in the bucket. */
const Key = v.pipe(
  v.string(),
  v.maxLength(160),
  v.regex(/^[a-z_]+(\.[A-Za-z0-9_-]+){1,2}$/, "expected the key of an alert; see: xtask alerts ls"),
);

/** An alert as it stands. */
export const AlertRecord = v.object({
  key: Key,
  kind: v.picklist(ALERT_KINDS),
  /** Whom it is about; `hub` for the hub itself. */
  node: v.string(),
  severity: v.picklist(SEVERITIES),
  message: v.string(),
  openedAt: Time,
  /** Since when it is over. */
  resolvedAt: v.optional(Time),
  /** How often it has come. */
  count: v.pipe(v.number(), v.integer()),
  /** Somebody has seen it; gone when it comes again. */
  acknowledged: v.optional(v.object({ by: By, at: Time })),
  /** Nobody is told of it until then, however often it comes. */
  muted: v.optional(v.object({ by: By, at: Time, until: Time })),
});
/** An alert as it stands. */
export type AlertRecord = v.InferOutput<typeof AlertRecord>;

/** Input of `alert.ack` and `alert.unmute`. */
export const AlertByKey = v.strictObject({ key: Key });
/** Input of `alert.mute`. */
export const AlertMute = v.strictObject({
  key: Key,
  forMs: v.optional(
    v.pipe(v.number(), v.integer(), v.minValue(1_000), v.maxValue(ALERT_MUTE_MS_MAX)),
    24 * 60 * 60 * 1_000,
  ),
});
/** Input of `alert.list`. */
export const AlertList = v.strictObject({
  /** Those that are over as well. */
  all: v.optional(v.boolean(), false),
});

/** Whether a person still has to look: it is not over, not acknowledged, not muted now. */
export function wantsAttention({ resolvedAt, acknowledged, muted }: AlertRecord, now: number): boolean {
  return resolvedAt === undefined && acknowledged === undefined &&
    (muted === undefined || Date.parse(muted.until) <= now);
}
