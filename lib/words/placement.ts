/** What was typed beside a verb's input: where it is to run, and how it is shown. */
import type { Capability } from "../capability/define.ts";
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
