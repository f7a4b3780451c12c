/** Events: facts that happened to a command or a node. The stream of them is the truth; records are projections of it. */
import * as v from "valibot";
import { By } from "./by.ts";
import { WireError } from "./error.ts";
import { CommandId } from "./id.ts";
import { Time } from "./time.ts";

const common = { at: Time, node: v.string() };
const ofCommand = { ...common, command: CommandId, attempt: v.number() };

/** An alert that the hub follows has a key, and says so when it is over. */
const ofState = { key: v.optional(v.string()), state: v.optional(v.picklist(["open", "resolved"])) };

/** One event. The author of `node_…` and of alerts about nodes is the hub; `node` is whom it is about. */
export const Event = v.variant("type", [
  v.object({
    type: v.literal("command_accepted"),
    ...ofCommand,
    capability: v.string(),
    verb: v.string(),
    input: v.optional(v.unknown()),
    by: v.optional(By),
    /** The name of the schedule that gave it. */
    schedule: v.optional(v.string()),
    /** The run outlives its agent. */
    keep: v.optional(v.boolean()),
  }),
  /** It waits at the hub until its node is there; the hub says so. */
  v.object({
    type: v.literal("command_queued"),
    ...ofCommand,
    capability: v.string(),
    verb: v.string(),
    input: v.optional(v.unknown()),
    by: v.optional(By),
    deadline: Time,
    /** Given where the hub places it on one of the nodes that this selects; `node` is then the hub. */
    any: v.optional(v.string()),
  }),
  /** A node has the lease of this attempt; the hub says so. */
  v.object({ type: v.literal("command_placed"), ...ofCommand }),
  /** The node has it no more, and it goes to another one; the hub says so. */
  v.object({ type: v.literal("command_moving"), ...ofCommand, reason: v.string() }),
  v.object({ type: v.literal("command_started"), ...ofCommand }),
  v.object({
    type: v.literal("command_result"),
    ...ofCommand,
    state: v.picklist(["succeeded", "failed", "cancelled", "interrupted", "refused", "expired"]),
    exitCode: v.optional(v.number()),
    durationMs: v.number(),
    error: v.optional(WireError),
  }),
  v.object({ type: v.literal("node_joined"), ...common }),
  v.object({ type: v.literal("node_left"), ...common, reason: v.string() }),
  v.object({
    type: v.literal("alert"),
    ...common,
    severity: v.picklist(["info", "warning", "critical"]),
    message: v.string(),
    ...ofState,
  }),
]);
/** One event. */
export type Event = v.InferOutput<typeof Event>;

/** How much an alert matters. */
export const SEVERITIES = ["info", "warning", "critical"] as const;
/** How much an alert matters. */
export type Severity = (typeof SEVERITIES)[number];

/** Something that a person should know; it explains itself. */
export const Alert = v.object({
  at: Time,
  node: v.string(),
  severity: v.picklist(SEVERITIES),
  message: v.string(),
  ...ofState,
});
/** Something that a person should know. */
export type Alert = v.InferOutput<typeof Alert>;
