/** What a command is answered with, and what is known of its runs. */
import * as v from "valibot";
import { By } from "./by.ts";
import { WireError } from "./error.ts";
import { CommandId } from "./id.ts";
import { Time } from "./time.ts";
import { STATES } from "./state.ts";

/** Headers of a request and of log messages. */
export const HEADER = {
  /** The caller's id for its command, which is also its idempotency key. */
  commandId: "Xtask-Command-Id",
  /** RFC 3339; a command that has not started by then is `expired`, one that runs is ended. */
  deadline: "Xtask-Deadline",
  /** How long the caller wants its reply held back for a result, in ms. */
  wait: "Xtask-Wait",
  /** Of a command that may move: for how long its lease is, in ms; the attempt number is its epoch. */
  lease: "Xtask-Lease",
  /** `true`: the run may outlive the agent, and the next one takes it over. */
  keep: "Xtask-Keep",
  /** Of a log message: which run (attempt number), its place in the order, the number of its first byte, and `out` or `err`. */
  attempt: "Xtask-Attempt",
  logSeq: "Xtask-Log-Seq",
  logOffset: "Xtask-Log-Offset",
  logStream: "Xtask-Log-Stream",
  /** RFC 3339: when the bytes were read from the process. */
  logTime: "Xtask-Log-Time",
  /** Of a marker: so many bytes are missing here. */
  logGap: "Xtask-Log-Gap",
  /** Of the last message of a run: the number of bytes in all. */
  logEnd: "Xtask-Log-End",
  errorCode: "Nats-Service-Error-Code",
  error: "Nats-Service-Error",
} as const;

/** A run's output as it stands in its result: its beginning and its end. */
export const OutputSummary = v.object({
  head: v.string(),
  /** Empty where the head holds everything. */
  tail: v.string(),
  bytes: v.number(),
  lines: v.number(),
  /** Whether something stands between head and tail. */
  truncated: v.boolean(),
});
/** A run's output as it stands in its result. */
export type OutputSummary = v.InferOutput<typeof OutputSummary>;

/** The final record of a run. */
export const Result = v.object({
  id: CommandId,
  node: v.string(),
  capability: v.string(),
  verb: v.string(),
  attempt: v.number(),
  state: v.picklist(["succeeded", "failed", "cancelled", "interrupted", "expired"]),
  exitCode: v.optional(v.number()),
  acceptedAt: Time,
  startedAt: v.optional(Time),
  finishedAt: Time,
  durationMs: v.number(),
  output: OutputSummary,
  data: v.optional(v.unknown()),
  error: v.optional(WireError),
});
/** The final record of a run. */
export type Result = v.InferOutput<typeof Result>;

/** The answer where a run goes on after the caller's wait. */
export const Ongoing = v.object({
  id: CommandId,
  node: v.string(),
  state: v.picklist(["queued", "accepted", "running"]),
  /** Where its output can be followed. */
  logs: v.string(),
  /** Where its result will appear. */
  results: v.string(),
});
/** The answer where a run goes on. */
export type Ongoing = v.InferOutput<typeof Ongoing>;

/** The answer where a command was not taken. */
export const Refusal = v.object({
  id: v.optional(v.string()),
  node: v.string(),
  state: v.literal("refused"),
  error: WireError,
});
/** The answer where a command was not taken. */
export type Refusal = v.InferOutput<typeof Refusal>;

/** What a command is answered with. */
export const Reply = v.union([Result, Ongoing, Refusal]);
/** What a command is answered with. */
export type Reply = v.InferOutput<typeof Reply>;

/** Input of `run.cancel` and `run.status`. */
export const RunQuery = v.strictObject({ id: CommandId });

/** What came of the wish to cancel. */
export const CancelReply = v.object({
  id: CommandId,
  outcome: v.picklist(["cancelled", "already_done", "unreachable"]),
});
/** What came of the wish to cancel. */
export type CancelReply = v.InferOutput<typeof CancelReply>;

/** Where a command stands that the hub places. */
export const Move = v.object({
  /** The nodes that are meant, as a selector. */
  any: v.string(),
  /** The highest attempt that was placed; 0 before the first. */
  attempt: v.number(),
  /** Where. */
  node: v.optional(v.string()),
  /** Attempts that were over without an outcome. */
  lost: v.array(v.object({ attempt: v.number(), node: v.string(), at: Time, reason: v.string() })),
  /** How it ended, where that happened on no node. */
  ended: v.optional(v.object({ state: v.picklist(STATES), at: Time, error: v.optional(WireError) })),
});
/** Where a command stands that the hub places. */
export type Move = v.InferOutput<typeof Move>;

/** A command as the hub sees it: what was asked, and what is known of each node's run. */
export const CommandRecord = v.object({
  id: CommandId,
  capability: v.string(),
  verb: v.string(),
  /** As asked; left out where it is large. */
  input: v.optional(v.unknown()),
  /** Who asked, where that is known. */
  by: v.optional(By),
  /** The name of the schedule that gave it. */
  schedule: v.optional(v.string()),
  /** Its runs outlive their agents. */
  keep: v.optional(v.boolean()),
  acceptedAt: Time,
  updatedAt: Time,
  /** Given where the hub places it. */
  move: v.optional(Move),
  /** By node, the newest attempt on each. */
  runs: v.record(
    v.string(),
    v.object({
      state: v.picklist(STATES),
      attempt: v.number(),
      /** A later attempt was placed, so that nothing of this one counts. */
      stale: v.optional(v.boolean()),
      exitCode: v.optional(v.number()),
      startedAt: v.optional(Time),
      finishedAt: v.optional(Time),
      durationMs: v.optional(v.number()),
      /** Until when it waits at the hub, where it does. */
      deadline: v.optional(Time),
      error: v.optional(WireError),
    }),
  ),
});
/** A command as the hub sees it. */
export type CommandRecord = v.InferOutput<typeof CommandRecord>;

/** Whether the run goes on. */
export function isUnended(reply: Reply): reply is Ongoing {
  return "logs" in reply;
}
