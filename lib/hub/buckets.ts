/** The buckets of the hub: how long each keeps its values, and how much of them. */
import { BUCKET, type BucketOptions } from "../nats/bucket.ts";
import { QUEUE_MS_MAX } from "../protocol/limits.ts";

const MIB = 1024 ** 2;
const DAY_MS = 24 * 60 * 60 * 1000;

/** Records come from events and are written again; what waits and who was invited stands nowhere else, and is refused. */
export const BUCKETS = {
  nodes: { name: BUCKET.nodes, maxBytes: 512 * MIB, full: "old" },
  /** A command's record is kept as long as its result. */
  commands: { name: BUCKET.commands, ttlMs: 90 * DAY_MS, maxBytes: 4096 * MIB, full: "old" },
  invites: { name: BUCKET.invites, ttlMs: DAY_MS, maxBytes: 16 * MIB },
  /** Alerts that are over are kept this long. */
  alerts: { name: BUCKET.alerts, ttlMs: 90 * DAY_MS, maxBytes: 64 * MIB, full: "old" },
  queue: { name: BUCKET.queue, ttlMs: QUEUE_MS_MAX, maxBytes: 2048 * MIB },
  moving: { name: BUCKET.moving, ttlMs: QUEUE_MS_MAX, maxBytes: 1024 * MIB },
  leader: { name: BUCKET.leader, maxBytes: MIB, full: "old" },
} as const satisfies Record<keyof typeof BUCKET, Omit<BucketOptions<unknown>, "schema">>;
