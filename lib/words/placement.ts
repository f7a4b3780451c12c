/** What was typed beside a verb's input: where it is to run, and how it is shown. */
import type { Capability, Verb } from "../capability/define.ts";
import { XtaskError } from "../protocol/error.ts";
import { parseDuration } from "./duration.ts";

/** What every command of a capability can be told beside its input. */
export interface Placement {
  /** Every node that this selector means. */
  readonly on?: string;
  /** The best one of them. */
  readonly any?: string;
  readonly json: boolean;
  /** Nodes that are away are given it when they are back. */
  readonly queue?: boolean;
  /** Its runs may outlive their agents. */
  readonly keep?: boolean;
  /** With `any`: on another node where that one is lost. */
  readonly move?: boolean;
  readonly detach: boolean;
  readonly deadline?: string;
  readonly id?: string;
  readonly context?: string;
}

/** What was typed. */
export interface Typed {
  readonly capability: Capability;
  readonly verb: string;
  readonly input: unknown;
  readonly placement: Placement;
}

/** When a command has to be through. */
export function deadlineOf({ deadline }: Placement): Date | undefined {
  return deadline === undefined ? undefined : new Date(Date.now() + parseDuration(deadline));
}

/** Where a command is to run: what of a {@linkcode Placement} can contradict itself. */
export type Where = { readonly [Name in "on" | "any" | "queue" | "keep" | "move"]?: Placement[Name] | undefined };

/**
 * Whether that makes sense together, for a verb that reads or changes something.
 *
 * @throws {XtaskError} `invalid`, with what to do instead
 */
export function assertPlacement(
  { on, any, queue = false, keep = false, move = false }: Where,
  effect: Verb["effect"],
): void {
  const refuse = (message: string, ...details: string[]) => new XtaskError("invalid", message, { details });
  if (on !== undefined && any !== undefined) {
    throw refuse("--on and --any exclude each other", "--on runs on every node that matches, --any on the best one");
  }
  if (!move) return;
  if (any === undefined) {
    throw refuse(
      "--move needs --any SELECTOR",
      "it runs on one of the nodes that match, and on another where that is lost",
    );
  }
  if (queue) {
    throw refuse(
      "--move and --queue exclude each other",
      "with --move it waits at the hub by itself until a node has room",
    );
  }
  if (keep) {
    throw refuse("--move and --keep exclude each other", "a run that may move must end where its agent does");
  }
  if (effect === "read") {
    throw refuse("What only looks need not move", "leave out --move: the best node answers at once");
  }
}
