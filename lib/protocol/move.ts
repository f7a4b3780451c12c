/**
 * Where a command stands that may move, as events tell it. Pure, and in any order and any number of times: the highest attempt
 * counts, each loss once, and the first end.
 */
import type { Event } from "./event.ts";
import { HUB_AUTHOR } from "./id.ts";
import type { CommandRecord, Move } from "./run.ts";
import { isTerminal, type State } from "./state.ts";

type Run = CommandRecord["runs"][string];
type MoveEvent = Extract<Event, { command: string }>;

const UNPLACED: Move = { any: "", attempt: 0, lost: [] };

/** Whether an event tells where a command is that may move, and not of a node's run. */
export function tellsOfMove(event: MoveEvent): boolean {
  return event.type === "command_placed" || event.type === "command_moving" || event.node === HUB_AUTHOR;
}

/** After one more event of those. */
export function movedBy(before: Move = UNPLACED, event: MoveEvent): Move {
  const { node, attempt, at } = event;
  switch (event.type) {
    case "command_queued":
      return { ...before, any: event.any ?? before.any };
    case "command_placed":
      return attempt > before.attempt ? { ...before, attempt, node } : before;
    case "command_moving":
      return withLost(before, [{ attempt, node, at, reason: event.reason }]);
    case "command_result": {
      const { state, error } = event;
      return before.ended === undefined
        ? { ...before, ended: { state, at, ...(error === undefined ? {} : { error }) } }
        : before;
    }
    default:
      return before;
  }
}

/** What two tell of it, one of whom may have heard more. */
export function mergeMoves(known: Move | undefined, listed: Move | undefined): Move | undefined {
  if (known === undefined || listed === undefined) return known ?? listed;
  const further = known.attempt > listed.attempt ? known : listed;
  const ended = known.ended ?? listed.ended;
  return {
    ...withLost(further, further === known ? listed.lost : known.lost),
    any: listed.any || known.any,
    ...(ended === undefined ? {} : { ended }),
  };
}

function withLost(move: Move, more: Move["lost"]): Move {
  const added = more.filter(({ attempt }) => !move.lost.some((known) => known.attempt === attempt));
  return added.length === 0 ? move : { ...move, lost: [...move.lost, ...added].sort((a, b) => a.attempt - b.attempt) };
}

/** The runs, those of older attempts marked: nothing of them counts any more. */
export function withStale(runs: CommandRecord["runs"], { attempt }: Move): CommandRecord["runs"] {
  return Object.fromEntries(
    Object.entries(runs).map(([node, { stale: _, ...run }]) => [
      node,
      run.attempt < attempt ? { ...run, stale: true } : run,
    ]),
  );
}

const WORST_FIRST = [
  "running",
  "accepted",
  "queued",
  "failed",
  "interrupted",
  "refused",
  "expired",
  "cancelled",
] as const;

/**
 * The state of a command as a whole: what still goes on, else the worst that came of it. Of one that may move its newest
 * attempt counts: until that has an outcome it waits for the next.
 */
export function stateOf({ move, runs }: Pick<CommandRecord, "move" | "runs">): State {
  if (move === undefined) {
    const all = Object.values(runs);
    return WORST_FIRST.find((state) => all.some((run) => run.state === state)) ?? "succeeded";
  }
  if (move.ended !== undefined) return move.ended.state;
  const run = newestRun({ move, runs });
  if (run === undefined || run.state === "interrupted") return "queued";
  const isLost = move.lost.some(({ attempt }) => attempt >= move.attempt);
  return isLost && !isTerminal(run.state) ? "queued" : run.state;
}

/**
 * Where a command is that may move, in words.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { whereabouts } from "./move.ts";
 *
 * const move = { any: "tier=ci", attempt: 1, node: "n1", lost: [] };
 * assert.equal(whereabouts({ move, runs: {} }), "attempt 1, on n1");
 * const lost = [{ attempt: 1, node: "n1", at: "2026-11-26T12:00:00.000Z", reason: "left" }];
 * assert.equal(whereabouts({ move: { ...move, lost }, runs: {} }), "waits for a node of tier=ci");
 * ```
 */
export function whereabouts({ move, runs }: { readonly move: Move; readonly runs: CommandRecord["runs"] }): string {
  const { any, attempt, node, lost, ended } = move;
  if (node === undefined && ended !== undefined) return `no node of ${any} has had it`;
  const isLost = lost.some((one) => one.attempt >= attempt) || newestRun({ move, runs })?.state === "interrupted";
  if (node === undefined || isLost && ended === undefined) return `waits for a node of ${any}`;
  return `attempt ${attempt}, on ${node}`;
}

/** The run that counts of a command that may move. */
export function newestRun({ move, runs }: Pick<CommandRecord, "move" | "runs">): Run | undefined {
  if (move?.node === undefined || !Object.hasOwn(runs, move.node)) return undefined;
  const run = runs[move.node];
  return run?.attempt === move.attempt ? run : undefined;
}
