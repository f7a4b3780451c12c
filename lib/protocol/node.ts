/** What a node says of itself. */
import * as v from "valibot";
import { Id, Token } from "./id.ts";
import { LABELS_MAX, SCHEDULES_MAX, TASKS_ADVERTISED_MAX } from "./limits.ts";
import { Platform } from "./platform.ts";
import { Schedule } from "./schedule.ts";
import { Time } from "./time.ts";

/** Labels: what selectors look at. */
export const Labels = v.pipe(
  v.record(
    v.pipe(
      v.string(),
      v.regex(/^[A-Za-z0-9][A-Za-z0-9_./-]{0,62}$/, "expected a label name such as region or team/name"),
    ),
    v.pipe(v.string(), v.maxLength(128), v.regex(/^[^,|*?=\s]*$/, "expected a value without , | * ? = or spaces")),
  ),
  v.check((labels) => Object.keys(labels).length <= LABELS_MAX, `expected at most ${LABELS_MAX} labels`),
);
/** Labels of a node. */
export type Labels = v.InferOutput<typeof Labels>;

/** What is to become of labels: a value, or null for one that goes. */
export const LabelChanges = v.strictObject({ labels: v.record(v.string(), v.nullable(v.string())) });
/** What is to become of labels. */
export type LabelChanges = v.InferOutput<typeof LabelChanges>;

/** How busy a machine is. */
export const Load = v.object({
  /** Load average over one minute; 0 on Windows, which has none. */
  one: v.number(),
  cores: v.number(),
  memoryBytes: v.number(),
  memoryFreeBytes: v.number(),
});
/** How busy a machine is. */
export type Load = v.InferOutput<typeof Load>;

/** Runs at once: how many a node takes, how many it could take now. */
export const Slots = v.object({ total: v.number(), free: v.number() });

/** `online` takes commands, `busy` queues them, `draining` refuses new ones, `offline` has not been heard of. */
export const NodeState = v.picklist(["online", "busy", "draining", "offline"]);
/** A node's state. */
export type NodeState = v.InferOutput<typeof NodeState>;

/** How a node is connected with its hub. All but the mode is left out by older versions. */
export const Link = v.object({
  /** `client` of the hub's server, or with a server of its own: a `leaf` node. */
  mode: v.picklist(["client", "leaf"]),
  /** Whether the hub answered when it was asked last. */
  up: v.optional(v.boolean()),
  /** To the hub and back. */
  rttMs: v.optional(v.number()),
  /** When the hub answered last. */
  contactAt: v.optional(Time),
  /** Of reports that the hub does not have. */
  backlogBytes: v.optional(v.number()),
});
/** How a node is connected with its hub. */
export type Link = v.InferOutput<typeof Link>;

/** The full record of a node. */
export const NodeRecord = v.object({
  id: Id,
  /** Tells this process of the agent from any other that claims the same id. */
  instance: Token,
  hostname: v.string(),
  /** When its machine started; absent in older versions. */
  bootedAt: v.optional(Time),
  platform: Platform,
  labels: Labels,
  version: v.string(),
  capabilities: v.array(v.object({ name: Token, verbs: v.array(Token) })),
  tasks: v.pipe(v.array(v.object({ name: v.string(), desc: v.string() })), v.maxLength(TASKS_ADVERTISED_MAX)),
  slots: Slots,
  /** Commands waiting for a slot. */
  queued: v.number(),
  load: Load,
  state: NodeState,
  /** Since when it is in this state. */
  since: Time,
  link: Link,
  /** Whether what a killed agent leaves of its runs is ended at once, not when it starts again. Left out by older versions. */
  guarded: v.optional(v.boolean()),
  /** Whether it takes what may move, and runs it under a lease only. Older versions, which leave it out, would run on without. */
  leases: v.optional(v.boolean()),
  /** Ids of the commands that run now. */
  running: v.array(v.string()),
  /** What it does by itself. Left out by older versions. */
  schedules: v.optional(v.pipe(v.array(Schedule), v.maxLength(SCHEDULES_MAX))),
});
/** The full record of a node. */
export type NodeRecord = v.InferOutput<typeof NodeRecord>;

/** What a node sends every 5 s. */
export const Heartbeat = v.object({
  id: Id,
  instance: Token,
  at: Time,
  /** Changes when the rest of the record did, which is then registered again. */
  digest: Token,
  state: NodeState,
  slots: Slots,
  queued: v.number(),
  load: Load,
  running: v.array(v.string()),
  link: v.optional(Link),
});
/** What a node sends every 5 s. */
export type Heartbeat = v.InferOutput<typeof Heartbeat>;

/** Input of `xtask.nodes.discover` and of `select` in a broadcast. */
export const Discover = v.object({ select: v.optional(v.string(), "all") });
