/**
 * The runs of a node: each command accepted once, given a slot, run by its capability's Worker, and told of. The order is
 * the promise: journal, then start; result into the journal, then out.
 */
import type { Verb } from "../capability/define.ts";
import type { Host, Outcome } from "../capability/host.ts";
import { pause } from "../os/pause.ts";
import { type EndProcesses, markOf } from "../os/processes.ts";
import { XtaskError } from "../protocol/error.ts";
import { newCommandId } from "../protocol/id.ts";
import type { Event } from "../protocol/event.ts";
import { READS_MAX } from "../protocol/limits.ts";
import type { CancelReply, OutputSummary, Result } from "../protocol/run.ts";
import { upEvent, upLog, upResult } from "../protocol/subjects.ts";
import { at } from "./deadline.ts";
import type { Accepted, JournalPort } from "./journal.ts";
import type { LeaseHeld, Leases } from "./leases.ts";
import type { RunCounts } from "./metrics.ts";
import type { Draft, Outbox } from "./outbox.ts";
import { Output } from "./output.ts";
import { type Active, type Command, type Ended, endOf, Run } from "./run.ts";
import type { Slots } from "./slots.ts";

export type { Active, Command } from "./run.ts";

/** What {@linkcode Runs} needs. */
export interface RunsOptions {
  readonly node: string;
  readonly journal: JournalPort;
  readonly outbox: Outbox;
  readonly host: Host;
  readonly endProcesses: EndProcesses;
  readonly slots: Slots;
  readonly leases: Leases;
  readonly counts: RunCounts;
  readonly now: () => number;
  /** Hears that a run began or ended: the node's record has changed. */
  readonly onChange: () => void;
  /** Hears of what went wrong inside. */
  readonly onTrouble: (message: string, error: unknown) => void;
}

/** Inputs longer than this are left out of events; the journal has them. */
const EVENT_INPUT_BYTES_MAX = 16 * 1024;
/** A disk that was full is tried again this often. */
const RECORD_AGAIN_MS = 1_000;

/** The runs of one node. */
export class Runs {
  readonly #options: RunsOptions;
  readonly #active = new Map<string, Run>();
  readonly #stop = new AbortController();
  /** Results that the journal does not take just now. */
  readonly #late = new Set<Promise<boolean>>();

  constructor(options: RunsOptions) {
    this.#options = options;
  }

  /** Ids of runs that have not ended. */
  get ids(): string[] {
    return [...this.#active.keys()];
  }

  /**
   * Takes a command, or finds the run that its id has already. A verb that changes something is in the journal when this
   * resolves.
   *
   * @throws {XtaskError} `conflict` for an id that meant something else, `exhausted` where there is no room, `unavailable` for
   * an attempt that is not the newest, or comes while an earlier one is still ending
   */
  async submit(command: Command): Promise<Active | Result> {
    const { journal, slots, leases, now } = this.#options;
    const { capability, verb: verbName, input, lease } = command;
    const before = command.id === undefined ? undefined : this.#find(command.id, command);
    // Whoever asks once more meanwhile is told no sooner than the first.
    if (before instanceof Run) await before.kept;
    if (before !== undefined) return before;
    const id = command.id ?? newCommandId(now());
    const verb = capability.verbs[verbName] as Verb;
    const acceptedAt = new Date(now()).toISOString();
    const attempt = lease?.epoch ?? 1;
    const accepted: Accepted = { id, capability: capability.name, verb: verbName, input, attempt, acceptedAt };
    const run = new Run(accepted, verb.effect, this.#outputOf(accepted, verb), lease !== undefined);
    if (lease !== undefined) leases.assertRoom();
    if (verb.effect === "change") slots.assertRoom();
    else this.#assertReadable();
    // Its place in line is taken at once: of a burst each must see those before it.
    const slot = verb.effect === "change" ? slots.acquire(run.abort.signal) : undefined;
    // A wish to end that comes before anybody waits for the slot is seen by whoever then does.
    slot?.catch(() => {});
    this.#active.set(id, run);
    const told = () => this.#tell([this.#acceptedEvent(accepted, command)]);
    try {
      if (verb.effect === "change") {
        await (run.kept = journal.accept(accepted));
        told();
      } else {
        // What only reads is told of where it is followed: else its result would be that of an unknown command.
        run.onFollow = told;
      }
    } catch (error) {
      this.#active.delete(id);
      run.settled.promise.catch(() => {});
      run.settled.reject(error);
      run.abort.abort(error);
      void slot?.then((taken) => taken[Symbol.dispose](), () => {});
      throw error;
    }
    void this.#perform(run, slot, command);
    return run;
  }

  /** Wishes a run to end. Resolves when it has, with what came of the wish. */
  async cancel(id: string): Promise<CancelReply["outcome"]> {
    const run = this.#active.get(id);
    if (run === undefined) {
      if (this.#options.journal.find(id) !== undefined) return "already_done";
      throw new XtaskError("not_found", `This node knows no command ${id}`);
    }
    run.end("cancelled", new XtaskError("cancelled", "Cancelled on request"));
    return (await run.result).state === "cancelled" ? "cancelled" : "already_done";
  }

  /** The run or result of a command id. */
  status(id: string): Active | Result {
    const run = this.#active.get(id);
    const found = run?.ended ?? run ?? this.#options.journal.find(id)?.result;
    if (found === undefined) throw new XtaskError("not_found", `This node knows no command ${id}`);
    return found;
  }

  /** Reports the runs that an earlier agent left unfinished, after ending whatever still lives of them. */
  async recover(): Promise<string[]> {
    const { journal, endProcesses } = this.#options;
    const ids: string[] = [];
    for (const { accepted } of journal.unfinished()) {
      await endProcesses({ groups: [], mark: markOf(this.#options.node, accepted.id) });
      const output = { head: "", tail: "", bytes: 0, lines: 0, truncated: true };
      const error = new XtaskError(
        "unavailable",
        "The agent stopped while this ran; it may have done part of its work",
      );
      await this.#record(this.#resultOf(accepted, output, { state: "interrupted", error: error.toWire() }));
      ids.push(accepted.id);
    }
    return ids;
  }

  /** Waits for every run to end; past the signal they are ended and reported as `interrupted`. */
  async drain(signal: AbortSignal): Promise<void> {
    const reason = new XtaskError("cancelled", "The agent was stopped");
    const interrupt = () => [...this.#active.values()].forEach((run) => run.end("interrupted", reason));
    if (signal.aborted) interrupt();
    signal.addEventListener("abort", interrupt, { once: true });
    await Promise.allSettled([...this.#active.values()].map(({ result }) => result));
    signal.removeEventListener("abort", interrupt);
    this.#stop.abort();
    await Promise.all(this.#late);
  }

  /** Hands back the runs that can go on elsewhere: they end here as `interrupted`, and the hub starts them again. */
  handBack(reason: XtaskError): void {
    for (const run of this.#active.values()) if (run.leased) run.end("interrupted", reason);
  }

  #find(id: string, command: Command): Active | Result | undefined {
    const { capability, verb, input } = command;
    const active = this.#active.get(id);
    const known = active === undefined ? this.#options.journal.find(id) : undefined;
    const accepted = active?.accepted ?? known?.accepted;
    if (accepted === undefined) return undefined;
    const same = accepted.capability === capability.name && accepted.verb === verb &&
      JSON.stringify(accepted.input) === JSON.stringify(input);
    if (!same) {
      throw new XtaskError("conflict", `Command id ${id} was used for another command`, {
        details: [`it was ${accepted.capability}.${accepted.verb}; leave the id out to get a new one`],
      });
    }
    const epoch = command.lease?.epoch ?? accepted.attempt;
    if (epoch > accepted.attempt) {
      if (active === undefined) return undefined;
      if (!active.leased) throw new XtaskError("conflict", `${id} was asked of this node itself, and runs here`);
      active.end("interrupted", new XtaskError("unavailable", `Attempt ${epoch} at this was given out`));
    }
    if (epoch !== accepted.attempt) {
      throw new XtaskError("unavailable", `This node has attempt ${accepted.attempt} of ${id}, not ${epoch}`);
    }
    return active?.ended ?? active ?? known?.result;
  }

  #assertReadable(): void {
    const reads = [...this.#active.values()].filter(({ effect }) => effect === "read").length;
    if (reads < READS_MAX) return;
    throw new XtaskError("exhausted", "The node is answering as many questions as it can", {
      details: ["try again later"],
    });
  }

  #outputOf(accepted: Accepted, { effect }: Verb): Output {
    const { node, outbox, leases, now } = this.#options;
    return new Output({
      subject: upLog(node, accepted.id),
      attempt: accepted.attempt,
      held: effect === "read",
      send: (draft) => {
        leases.look();
        return outbox.log(draft);
      },
      now,
    });
  }

  async #perform(run: Run, slot: Promise<Disposable> | undefined, command: Command): Promise<void> {
    const { now, leases, counts, onTrouble, onChange } = this.#options;
    const { capability, deadline = Infinity } = command;
    const verb = capability.verbs[command.verb] as Verb;
    const { signal } = run.abort;
    const expire = () => {
      const started = run.state === "running";
      run.end(started ? "failed" : "expired", new XtaskError("timeout", "The command's deadline passed"));
    };
    const ending = deadline === Infinity ? undefined : at(deadline, now, expire);
    const lease = this.#leaseOf(run, command);
    let outcome: Outcome;
    try {
      using _slot = await slot;
      await lease?.begun;
      // The slot may have come with the end of a run that had the same deadline.
      if (now() >= deadline) expire();
      signal.throwIfAborted();
      run.state = "running";
      run.startedAt = now();
      if (verb.effect === "change") {
        const at = new Date(run.startedAt).toISOString();
        this.#tell([this.#event({ type: "command_started", ...this.#about(run.accepted, at) })]);
        counts.started();
        onChange();
      }
      outcome = await this.#options.host.invoke({
        capability,
        verb: run.accepted.verb,
        input: run.accepted.input,
        command: run.id,
        attempt: run.accepted.attempt,
        signal,
        kill: run.kill.signal,
        output: (stream, bytes) => run.output.write(stream, bytes),
      });
    } catch (error) {
      outcome = { error: XtaskError.from(error).toWire() };
    }
    ending?.[Symbol.dispose]();
    leases.look();
    await run.output.end();
    const result = this.#resultOf(run.accepted, run.output.summary(), endOf(run, verb, outcome), run.startedAt);
    let recorded = true;
    try {
      if (verb.effect === "change" || run.followed) await this.#record(result);
    } catch (error) {
      // The work is done. The caller is told now, and the journal as soon as it takes it.
      onTrouble(`The result of ${run.id} cannot be recorded yet`, error);
      run.ended = result;
      run.settled.resolve(result);
      const late = this.#recordLate(result);
      this.#late.add(late);
      recorded = await late;
      this.#late.delete(late);
    }
    run.settled.resolve(result);
    this.#active.delete(run.id);
    lease?.end(recorded && result.state !== "interrupted");
    if (verb.effect === "change") {
      counts.ended(result.state, result.startedAt === undefined ? undefined : result.durationMs);
      onChange();
    }
  }

  /** Tries to record a result until the disk takes it, or the agent stops: then it is found to be interrupted. */
  async #recordLate(result: Result): Promise<boolean> {
    const { signal } = this.#stop;
    for (;;) {
      await pause(RECORD_AGAIN_MS, signal);
      const last = signal.aborted;
      try {
        await this.#record(result);
        return true;
      } catch (error) {
        if (!last) continue;
        this.#options.onTrouble(`The result of ${result.id} is not recorded`, error);
        return false;
      }
    }
  }

  #leaseOf(run: Run, { lease }: Command): LeaseHeld | undefined {
    if (lease === undefined) return undefined;
    return this.#options.leases.take({ id: run.id, ...lease }, {
      signal: run.abort.signal,
      onStop: (reason) => run.end("interrupted", reason),
      onKill: () => run.kill.abort(),
    });
  }

  /** Puts a result into the journal and in line for the hub. */
  async #record(result: Result): Promise<void> {
    const { journal, outbox, node } = this.#options;
    const { state, exitCode, durationMs, error } = result;
    const reports = outbox.number([
      { subject: upResult(node, result.id), headers: {}, payload: encode(result) },
      this.#event({
        type: "command_result",
        ...this.#about(result, result.finishedAt),
        state,
        durationMs,
        ...(exitCode === undefined ? {} : { exitCode }),
        ...(error === undefined ? {} : { error }),
      }),
    ]);
    await journal.finish(result, reports);
    outbox.push(reports);
  }

  /** Events of a run that goes on. Losing one to a full disk is no reason to stop: the result will tell. */
  #tell(drafts: readonly Draft[]): void {
    this.#options.outbox.facts(drafts).catch((error) => this.#options.onTrouble("An event could not be kept", error));
  }

  #acceptedEvent(accepted: Accepted, { by, schedule }: Pick<Command, "by" | "schedule">): Draft {
    const { acceptedAt, capability, verb, input } = accepted;
    return this.#event({
      type: "command_accepted",
      ...this.#about(accepted, acceptedAt),
      capability,
      verb,
      ...(JSON.stringify(input).length <= EVENT_INPUT_BYTES_MAX ? { input } : {}),
      ...(by === undefined ? {} : { by }),
      ...(schedule === undefined ? {} : { schedule }),
    });
  }

  #event(event: Event): Draft {
    return { subject: upEvent(this.#options.node, event.type), headers: {}, payload: encode(event) };
  }

  #about({ id, attempt }: { id: string; attempt: number }, at: string) {
    return { at, node: this.#options.node, command: id, attempt };
  }

  #resultOf(accepted: Accepted, output: OutputSummary, ended: Ended, startedAt?: number): Result {
    const { input: _, acceptedAt, ...about } = accepted;
    const finished = this.#options.now();
    return {
      ...about,
      node: this.#options.node,
      ...ended,
      acceptedAt,
      ...(startedAt === undefined ? {} : { startedAt: new Date(startedAt).toISOString() }),
      finishedAt: new Date(finished).toISOString(),
      durationMs: startedAt === undefined ? 0 : finished - startedAt,
      output,
    };
  }
}

function encode(value: unknown): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(value));
}
