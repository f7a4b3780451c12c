/** Commands that wait at the hub for a node that is away. */
import * as v from "valibot";
import { By } from "./by.ts";
import { CommandId, Id } from "./id.ts";
import { QUEUE_MS_MAX, WAITING_NODES_MAX } from "./limits.ts";
import { Time } from "./time.ts";

/** A token of the subject that it will go to. */
const Word = v.pipe(v.string(), v.regex(/^[a-z0-9][a-z0-9-]{0,62}$/, "expected the name of a capability or verb"));

/** What is asked of a node later. */
export const ASKED_LATER = {
  capability: Word,
  verb: Word,
  input: v.record(v.string(), v.unknown()),
};

/** A week from now, unless it is said. */
export const LaterDeadline = v.pipe(
  Time,
  v.check((at) => Date.parse(at) <= Date.now() + QUEUE_MS_MAX, "expected a deadline within 90 days"),
);

/** Input of `command.queue`. */
export const QueueInput = v.strictObject({
  id: CommandId,
  ...ASKED_LATER,
  nodes: v.pipe(v.array(Id), v.minLength(1), v.maxLength(WAITING_NODES_MAX)),
  deadline: v.optional(LaterDeadline),
  keep: v.optional(v.boolean()),
});

/** A command that waits for one node. */
export const Waiting = v.object({
  id: CommandId,
  node: Id,
  ...ASKED_LATER,
  by: v.optional(By),
  /** Its run may outlive its agent. */
  keep: v.optional(v.boolean()),
  askedAt: Time,
  deadline: Time,
  /** Its node may have it already: from then on only the node can say what became of it. */
  tried: v.optional(v.boolean()),
});
/** A command that waits for one node. */
export type Waiting = v.InferOutput<typeof Waiting>;

/** What `command.queue` answers. */
export const Queued = v.object({ id: CommandId, nodes: v.array(v.string()), deadline: Time });
/** What `command.queue` answers. */
export type Queued = v.InferOutput<typeof Queued>;
