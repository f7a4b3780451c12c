/** Commands that the hub places: on one node, and on another one where that is lost. */
import * as v from "valibot";
import { By } from "./by.ts";
import { CommandId, Id } from "./id.ts";
import { Time } from "./time.ts";
import { ASKED_LATER, LaterDeadline } from "./queue.ts";
import { STATES } from "./state.ts";

/** Input of `command.submit`. */
export const SubmitInput = v.strictObject({
  /** @default a new one */
  id: v.optional(CommandId),
  /** A selector: it runs on one of those. */
  any: v.string(),
  /** What is not to move is asked of a node itself. */
  move: v.literal(true),
  ...ASKED_LATER,
  deadline: v.optional(LaterDeadline),
});
/** Input of `command.submit`. */
export type SubmitInput = v.InferOutput<typeof SubmitInput>;

/** What `command.submit` answers. */
export const Submitted = v.object({
  id: CommandId,
  state: v.picklist(STATES),
  /** The node that has it, or had it last. */
  node: v.optional(v.string()),
  /** How often it was given to a node. */
  attempt: v.number(),
  /** Until when it waits; absent once it has ended. */
  deadline: v.optional(Time),
});
/** What `command.submit` answers. */
export type Submitted = v.InferOutput<typeof Submitted>;

/** A command that may move, as the hub keeps it until it has ended. */
export const Moving = v.object({
  id: CommandId,
  any: v.string(),
  ...ASKED_LATER,
  by: v.optional(By),
  askedAt: Time,
  deadline: Time,
  placing: v.object({
    /** The highest one granted; 0 before the first. */
    epoch: v.number(),
    node: v.optional(Id),
    /** Whether a node may have a lease of the newest epoch. */
    open: v.boolean(),
    moves: v.number(),
    cancel: v.boolean(),
  }),
});
/** A command that may move. */
export type Moving = v.InferOutput<typeof Moving>;
