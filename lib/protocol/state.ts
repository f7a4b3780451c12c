/** The states of a command and the one direction between them. */

/** From asked to ended. The last six are terminal. */
export const STATES = [
  "queued",
  "accepted",
  "running",
  "succeeded",
  "failed",
  "cancelled",
  "interrupted",
  "refused",
  "expired",
] as const;

/** A command's state. */
export type State = (typeof STATES)[number];

/** A state in which nothing more happens. */
export type TerminalState = Exclude<State, "queued" | "accepted" | "running">;

/** Whether nothing more happens. */
export function isTerminal(state: State): state is TerminalState {
  return RANK[state] === 3;
}

/** Later ranks replace earlier ones, never the other way; among the terminal states the first one stands. */
const RANK: Readonly<Record<State, number>> = {
  queued: 0,
  accepted: 1,
  running: 2,
  succeeded: 3,
  failed: 3,
  cancelled: 3,
  interrupted: 3,
  refused: 3,
  expired: 3,
};

/**
 * Whether a record in `from` may become `to`: states only move forward.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { movesForward } from "./state.ts";
 *
 * assert.ok(movesForward("queued", "running"));
 * assert.ok(!movesForward("succeeded", "running"), "a late event does not wake an ended run");
 * ```
 */
export function movesForward(from: State, to: State): boolean {
  return RANK[to] > RANK[from];
}
