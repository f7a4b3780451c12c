/** One run of a command on a node: what it is, where it stands, and how it ended. */
import type { Capability, Verb } from "../capability/define.ts";
import type { Outcome } from "../capability/host.ts";
import type { By } from "../protocol/by.ts";
import { type WireError, XtaskError } from "../protocol/error.ts";
import { DATA_BYTES_MAX } from "../protocol/limits.ts";
import { parse } from "../protocol/parse.ts";
import type { OutputSummary, Result } from "../protocol/run.ts";
import type { Accepted } from "./journal.ts";
import type { Output } from "./output.ts";

/** A command that is to run, its input parsed. */
export interface Command {
  /** As the caller chose it. @default a new one, which no earlier run can have */
  readonly id?: string;
  readonly capability: Capability;
  readonly verb: string;
  readonly input: unknown;
  readonly by?: By;
  /** The name of the schedule that gave it. */
  readonly schedule?: string;
  /** Milliseconds since 1970. */
  readonly deadline?: number;
  /** The run may outlive the agent. */
  readonly keep?: boolean;
  /** Given where the hub may move it: it runs as long as its lease is renewed. The epoch is its attempt number. */
  readonly lease?: { readonly epoch: number; readonly leaseMs: number };
}

/** A run that has been accepted and not ended. */
export interface Active {
  readonly id: string;
  readonly state: "accepted" | "running";
  /** Settles when the result is on disk. */
  readonly result: Promise<Result>;
  /** Settles when this agent leaves it to the next one, which then has its result. */
  readonly left: Promise<void>;
  /** Somebody follows: output that was kept back is sent from now on, and the result published. */
  follow(): void;
}

/** What a run can end in. */
export type EndState = Result["state"];

/** A run that has been accepted. */
export class Run implements Active {
  readonly id: string;
  readonly accepted: Accepted;
  readonly effect: Verb["effect"];
  readonly output: Output;
  readonly leased: boolean;
  readonly abort = new AbortController();
  /** Aborted where what still lives of it must be over at once. */
  readonly kill = new AbortController();
  readonly settled = Promise.withResolvers<Result>();
  state: "accepted" | "running" = "accepted";
  /** Settles when the journal has it, or cannot take it. */
  kept: Promise<void> = Promise.resolve();
  /** How it ended, while the journal does not have that yet. */
  ended: Result | undefined;
  startedAt: number | undefined;
  /** Where that was not now: while there was no agent. */
  endedAt: number | undefined;
  /** Fires when it is to be left to the next agent. */
  readonly leaving = new AbortController();
  readonly gone = Promise.withResolvers<void>();
  followed = false;
  /** Hears that somebody follows, once. */
  onFollow = () => {};
  /** Why it is being ended, which decides the state it ends in. */
  ending: EndState | undefined;

  constructor(accepted: Accepted, effect: Verb["effect"], output: Output, leased: boolean) {
    this.id = accepted.id;
    this.accepted = accepted;
    this.leased = leased;
    this.effect = effect;
    this.output = output;
  }

  get result(): Promise<Result> {
    return this.settled.promise;
  }

  get left(): Promise<void> {
    return this.gone.promise;
  }

  /** Whether it goes on without this agent. */
  get outlives(): boolean {
    return this.accepted.kept !== undefined && this.state === "running";
  }

  follow(): void {
    if (!this.followed) this.onFollow();
    this.followed = true;
    this.output.release();
  }

  end(state: EndState, reason: XtaskError): void {
    this.ending ??= state;
    this.abort.abort(reason);
  }
}

/** How a run ended. */
export interface Ended {
  readonly state: EndState;
  readonly exitCode?: number;
  readonly data?: unknown;
  readonly error?: WireError;
}

/** How a run ended: as it was made to end, else by its handler's word and its process's exit code. */
export function endOf(run: Run, verb: Verb, outcome: Outcome): Ended {
  const { exitCode } = outcome;
  const exit = exitCode === undefined ? {} : { exitCode };
  const reason: unknown = run.abort.signal.reason;
  if (run.ending !== undefined && reason instanceof XtaskError && outcome.error !== undefined) {
    return { state: run.ending, ...exit, error: reason.toWire() };
  }
  if (outcome.error !== undefined) return { state: "failed", ...exit, error: outcome.error };
  try {
    const data = parse(verb.output, outcome.data, `output of ${run.accepted.capability}.${run.accepted.verb}`);
    if (JSON.stringify(data ?? null).length > DATA_BYTES_MAX) {
      throw new XtaskError("exhausted", `The answer is longer than ${DATA_BYTES_MAX} bytes; ask for less`);
    }
    return { state: exitCode === undefined || exitCode === 0 ? "succeeded" : "failed", ...exit, data };
  } catch (error) {
    return { state: "failed", ...exit, error: XtaskError.from(error).toWire() };
  }
}

/** What is known of a run's times. */
export interface Times {
  /** Milliseconds since 1970; left out where it never started. */
  readonly startedAt?: number;
  /** Left out where it ended just now. */
  readonly endedAt?: number;
}

/** The times of a run. */
export function timesOf({ startedAt, endedAt }: Run): Times {
  return { ...(startedAt === undefined ? {} : { startedAt }), ...(endedAt === undefined ? {} : { endedAt }) };
}

/** The final record of a run. */
export function resultOf(
  { id, capability, verb, attempt, acceptedAt }: Accepted,
  output: OutputSummary,
  ended: Ended,
  { node, now, startedAt, endedAt = now() }: Times & { readonly node: string; readonly now: () => number },
): Result {
  return {
    ...{ id, capability, verb, attempt, node },
    ...ended,
    acceptedAt,
    ...(startedAt === undefined ? {} : { startedAt: new Date(startedAt).toISOString() }),
    finishedAt: new Date(endedAt).toISOString(),
    durationMs: startedAt === undefined ? 0 : Math.max(0, Math.round(endedAt - startedAt)),
    output,
  };
}
