/**
 * Runs a verb in this process: what `xtask which go` does on the machine it is typed on, with no hub. A process that runs
 * one command for the person who typed it needs no Worker; it gives up every class of permission that the capability did
 * not ask for instead.
 */
import type { Capability } from "./define.ts";

/** How {@linkcode runHere} runs a verb. */
export interface HereOptions {
  /** The folder that stands for the node's. */
  readonly dir: string;
  /** Environment of child processes. */
  readonly env: Readonly<Record<string, string>>;
  /** Executables that are not looked for on PATH: `{ task: "/…/task" }`. */
  readonly tools?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
  /** Gets the run's output. Without it processes write straight to this process's own output. */
  readonly output?: (stream: "out" | "err", bytes: Uint8Array) => void;
}

/** What came of it. */
export interface HereResult {
  readonly data: unknown;
  /** Exit code of the last process whose output was the run's. */
  readonly exitCode?: number;
}

export declare function runHere(
  capability: Capability,
  verb: string,
  input: unknown,
  options: HereOptions,
): Promise<HereResult>;
