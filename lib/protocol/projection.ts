/** Records of commands as the events tell them. Pure: `(record, event) → record`, in any order and any number of times. */
import type { Event } from "./event.ts";
import { HUB_AUTHOR } from "./id.ts";
import { mergeMoves, movedBy, tellsOfMove, withStale } from "./move.ts";
import type { CommandRecord } from "./run.ts";
import { movesForward, type State } from "./state.ts";

/** An event about a command. */
export type CommandEvent = Extract<Event, { command: string }>;

/** Whether the event is about a command. */
export function isCommandEvent(event: Event): event is CommandEvent {
  return "command" in event;
}

type Run = CommandRecord["runs"][string];

/**
 * Whether an author may tell this of a command. A node tells of its own runs, and the hub of what has not reached its node
 * yet: that it waits, and how that ended. Where a command is that may move the hub alone tells.
 */
export function mayTell(author: string, event: CommandEvent, record: CommandRecord | undefined): boolean {
  if (tellsOfMove(event)) return author === HUB_AUTHOR;
  if (event.node === author) return true;
  if (author !== HUB_AUTHOR) return false;
  if (event.type === "command_queued") return true;
  const known = record !== undefined && Object.hasOwn(record.runs, event.node) ? record.runs[event.node] : undefined;
  return event.type === "command_result" && (known === undefined || known.state === "queued");
}

/**
 * The record after one more event. Repeats and late events change nothing: states of an attempt only move forward, and a
 * later attempt on the same node takes the place of an earlier one.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { applyEvent } from "./projection.ts";
 *
 * const about = { at: "2026-01-01T00:00:00.000Z", node: "n1", command: "01JAAAAAAAAAAAAAAAAAAAAAAA", attempt: 1 };
 * const ended = applyEvent(undefined, { type: "command_result", ...about, state: "succeeded", durationMs: 5 });
 * const late = applyEvent(ended, { type: "command_started", ...about });
 * assert.equal(late.runs.n1?.state, "succeeded");
 * ```
 */
export function applyEvent(record: CommandRecord | undefined, event: CommandEvent): CommandRecord {
  const { command, node, at, attempt } = event;
  const before = record ?? { id: command, capability: "", verb: "", acceptedAt: at, updatedAt: at, runs: {} };
  const run = Object.hasOwn(before.runs, node) ? before.runs[node] : undefined;
  const about = event.type === "command_accepted" || event.type === "command_queued"
    ? {
      capability: event.capability,
      verb: event.verb,
      ...(event.input === undefined ? {} : { input: event.input }),
      // Where it runs on many nodes, each has been told by whom: proof counts more than a word.
      ...(event.by === undefined || before.by?.proven ? {} : { by: event.by }),
      ...("schedule" in event && event.schedule !== undefined ? { schedule: event.schedule } : {}),
      ...("keep" in event && event.keep ? { keep: true } : {}),
    }
    : {};
  const move = tellsOfMove(event) ? movedBy(before.move, event) : before.move;
  const runs = tellsOfMove(event) ? before.runs : { ...before.runs, [node]: applyToRun(run, event, attempt) };
  return {
    ...before,
    ...about,
    acceptedAt: before.acceptedAt < at ? before.acceptedAt : at,
    updatedAt: before.updatedAt > at ? before.updatedAt : at,
    ...(move === undefined ? { runs } : { move, runs: withStale(runs, move) }),
  };
}

/**
 * What two tell of the same command, one of whom may have heard more: of each run the state that is further, and where both
 * are as far what `listed` says.
 */
export function mergeRecords(known: CommandRecord, listed: CommandRecord): CommandRecord {
  const runs = { ...known.runs, ...listed.runs };
  for (const [node, run] of Object.entries(known.runs)) {
    const other = Object.hasOwn(listed.runs, node) ? listed.runs[node] : undefined;
    if (other === undefined) continue;
    runs[node] = run.attempt !== other.attempt
      ? run.attempt > other.attempt ? run : other
      : movesForward(other.state, run.state)
      ? { ...other, ...run }
      : { ...run, ...other };
  }
  const move = mergeMoves(known.move, listed.move);
  return {
    ...known,
    ...listed,
    // Empty where the word of its beginning was lost.
    capability: listed.capability || known.capability,
    verb: listed.verb || known.verb,
    acceptedAt: known.acceptedAt < listed.acceptedAt ? known.acceptedAt : listed.acceptedAt,
    updatedAt: known.updatedAt > listed.updatedAt ? known.updatedAt : listed.updatedAt,
    ...(move === undefined ? { runs } : { move, runs: withStale(runs, move) }),
  };
}

function applyToRun(run: Run | undefined, event: CommandEvent, attempt: number): Run {
  const state = stateOf(event);
  if (run !== undefined && run.attempt > attempt) return run;
  const before: Run = run?.attempt === attempt ? run : { state: "queued", attempt };
  const told = {
    ...(event.type === "command_started" ? { startedAt: event.at } : {}),
    ...(event.type === "command_queued" ? { deadline: event.deadline } : {}),
  };
  if (!movesForward(before.state, state)) return { ...told, ...before };
  if (event.type !== "command_result") return { ...before, ...told, state };
  const { exitCode, durationMs, error, at } = event;
  return {
    ...before,
    state,
    finishedAt: at,
    durationMs,
    ...(exitCode === undefined ? {} : { exitCode }),
    ...(error === undefined ? {} : { error }),
  };
}

function stateOf(event: CommandEvent): State {
  switch (event.type) {
    case "command_queued":
    case "command_placed":
    case "command_moving":
      return "queued";
    case "command_accepted":
      return "accepted";
    case "command_started":
      return "running";
    case "command_result":
      return event.state;
    default:
      return event satisfies never;
  }
}
