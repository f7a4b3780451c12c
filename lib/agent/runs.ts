/**
 * The runs of a node: each command accepted once, given a slot, run by its capability's Worker, and told of. The order is
 * the promise: journal, then start; result into the journal, then out.
 */
import type { Capability, Verb } from "../capability/define.ts";
import type { Host, Outcome } from "../capability/host.ts";
import { pause } from "../os/pause.ts";
import { type EndProcesses, markOf } from "../os/processes.ts";
import { XtaskError } from "../protocol/error.ts";
import { newCommandId } from "../protocol/id.ts";
import { READS_MAX } from "../protocol/limits.ts";
import type { CancelReply, Result } from "../protocol/run.ts";
import { upLog } from "../protocol/subjects.ts";
import { at } from "./deadline.ts";
import type { Accepted, JournalPort } from "./journal.ts";
import type { Keeper, Kept } from "./keeper.ts";
import { keptOf, keptOutcome, startKept } from "./kept_run.ts";
import type { LeaseHeld, Leases } from "./leases.ts";
import type { RunCounts } from "./metrics.ts";
import type { Draft, Outbox } from "./outbox.ts";
import { Output } from "./output.ts";
import { acceptedReport, resultReports, startedReport } from "./run_reports.ts";
import { type Active, type Command, endOf, resultOf, Run, timesOf } from "./run.ts";
import type { Slots } from "./slots.ts";

export type { Active, Command } from "./run.ts";

/** What {@linkcode Runs} needs. */
export interface RunsOptions {
  readonly node: string;
  readonly journal: JournalPort;
  readonly outbox: Outbox;
  readonly host: Host;
  readonly endProcesses: EndProcesses;
  /** Starts runs that outlive the agent; undefined where that cannot be. */
  readonly keeper?: Keeper | undefined;
  readonly slots: Slots;
  readonly leases: Leases;
  readonly counts: RunCounts;
  readonly now: () => number;
  /** Hears that a run began or ended: the node's record has changed. */
  readonly onChange: () => void;
  /** Hears of what went wrong inside. */
  readonly onTrouble: (message: string, error: unknown) => void;
}

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
    const { node, journal, slots, leases, now } = this.#options;
    const { capability, verb: verbName, input, lease } = command;
    const before = command.id === undefined ? undefined : this.#find(command.id, command);
    // Whoever asks once more meanwhile is told no sooner than the first.
    if (before instanceof Run) await before.kept;
    if (before !== undefined) return before;
    const id = command.id ?? newCommandId(now());
    const verb = capability.verbs[verbName] as Verb;
    const acceptedAt = new Date(now()).toISOString();
    const attempt = lease?.epoch ?? 1;
    const kept = keptOf(command, this.#options);
    const accepted: Accepted = { id, capability: capability.name, verb: verbName, input, attempt, acceptedAt, ...kept };
    const run = new Run(accepted, verb.effect, this.#outputOf(accepted, verb), lease !== undefined);
    if (lease !== undefined) leases.assertRoom();
    if (verb.effect === "change") slots.assertRoom();
    else this.#assertReadable();
    // Its place in line is taken at once: of a burst each must see those before it.
    const slot = verb.effect === "change" ? slots.acquire(run.abort.signal) : undefined;
    // A wish to end that comes before anybody waits for the slot is seen by whoever then does.
    slot?.catch(() => {});
    this.#active.set(id, run);
    const told = () => this.#tell(acceptedReport(node, accepted, command));
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

  /**
   * Takes over the runs of an earlier agent that outlived it. Reports the others that it left unfinished, after ending
   * whatever still lives of them.
   */
  async recover(capabilities: ReadonlyMap<string, Capability>): Promise<{ interrupted: string[]; adopted: string[] }> {
    const { node, now, journal, keeper, endProcesses } = this.#options;
    const ids: string[] = [];
    const adopted: string[] = [];
    for (const { accepted } of journal.unfinished()) {
      if (await this.#adopt(accepted, capabilities.get(accepted.capability))) {
        adopted.push(accepted.id);
        continue;
      }
      await endProcesses({ groups: [], mark: markOf(node, accepted.id) });
      const output = { head: "", tail: "", bytes: 0, lines: 0, truncated: true };
      const error = new XtaskError(
        "unavailable",
        "The agent stopped while this ran; it may have done part of its work",
      );
      const ended = { state: "interrupted", error: error.toWire() } as const;
      await this.#record(resultOf(accepted, output, ended, { node, now }));
      ids.push(accepted.id);
    }
    await keeper?.sweep((id) => this.#active.has(id));
    return { interrupted: ids, adopted };
  }

  /** Whether a run of an earlier agent goes on, or has ended in a way that can be told. */
  async #adopt(accepted: Accepted, capability: Capability | undefined): Promise<boolean> {
    const { keeper, slots } = this.#options;
    const verb = capability?.verbs[accepted.verb];
    if (accepted.kept === undefined || keeper === undefined || capability === undefined || verb?.keep === undefined) {
      return false;
    }
    const { boot, deadline } = accepted.kept;
    const kept = await keeper.find(accepted.id, { sameBoot: boot === keeper.boot });
    if (kept === undefined) return false;
    const run = new Run(accepted, verb.effect, this.#outputOf(accepted, verb), false);
    run.state = "running";
    run.startedAt = kept.startedAt;
    this.#active.set(run.id, run);
    const late = deadline === undefined || kept.ended ? {} : { deadline };
    const command = { capability, verb: accepted.verb, input: accepted.input, ...late };
    void this.#perform(run, Promise.resolve(slots.occupy()), command, kept);
    return true;
  }

  /**
   * Waits for every run to end; past the signal they are ended and reported as `interrupted`. One that outlives the agent is
   * left to the next one.
   */
  async drain(signal: AbortSignal): Promise<void> {
    const reason = new XtaskError("cancelled", "The agent was stopped");
    const past = Promise.withResolvers<void>();
    const interrupt = () => {
      past.resolve();
      for (const run of this.#active.values()) if (!run.outlives) run.end("interrupted", reason);
    };
    if (signal.aborted) interrupt();
    signal.addEventListener("abort", interrupt, { once: true });
    const runs = [...this.#active.values()];
    for (const run of runs) if (run.accepted.kept !== undefined) run.leaving.abort();
    await Promise.allSettled(runs.map(async (run) => {
      await Promise.race([run.result, run.left, ...(run.accepted.kept === undefined ? [] : [past.promise])]);
      if (!run.outlives) await Promise.race([run.result, run.left]);
    }));
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
      send: (draft, onSafe) => {
        leases.look();
        return outbox.log(draft, onSafe);
      },
      now,
    });
  }

  async #perform(
    run: Run,
    slot: Promise<Disposable> | undefined,
    command: Command,
    adopted?: Kept,
  ): Promise<void> {
    const { node, now, leases, counts, onTrouble, onChange } = this.#options;
    const { capability, deadline = Infinity } = command;
    const verb = capability.verbs[command.verb] as Verb;
    const { signal } = run.abort;
    const expire = () => {
      const started = run.state === "running";
      run.end(started ? "failed" : "expired", new XtaskError("timeout", "The command's deadline passed"));
    };
    const ending = deadline === Infinity ? undefined : at(deadline, now, expire);
    const lease = this.#leaseOf(run, command);
    let kept = adopted;
    let outcome: Outcome | undefined;
    try {
      using _slot = await slot;
      await lease?.begun;
      // The slot may have come with the end of a run that had the same deadline.
      if (now() >= deadline) expire();
      // What runs already must be ended where it is past its deadline.
      if (adopted === undefined) signal.throwIfAborted();
      run.state = "running";
      run.startedAt ??= now();
      if (verb.effect === "change" && adopted === undefined) {
        this.#tell(startedReport(node, run.accepted, run.startedAt));
        onChange();
      }
      if (verb.effect === "change") counts.started();
      const asked = {
        capability,
        verb: run.accepted.verb,
        input: run.accepted.input,
        command: run.id,
        attempt: run.accepted.attempt,
        signal,
        kill: run.kill.signal,
        output: (stream: "out" | "err", bytes: Uint8Array<ArrayBuffer>) => run.output.write(stream, bytes),
        // Where this process was stopped for longer than its lease, that is why it ended.
        onEnded: () => leases.look(),
      };
      if (run.accepted.kept === undefined) outcome = await this.#options.host.invoke(asked);
      else {
        kept ??= await startKept(this.#options, asked);
        outcome = await keptOutcome(run, verb, kept, this.#options.outbox);
      }
    } catch (error) {
      outcome = { error: XtaskError.from(error).toWire() };
    }
    ending?.[Symbol.dispose]();
    if (outcome === undefined) {
      this.#active.delete(run.id);
      run.gone.resolve();
      return;
    }
    leases.look();
    const closing = await run.output.end();
    const ended = endOf(run, verb, outcome);
    const result = resultOf(run.accepted, run.output.summary(), ended, { node, now, ...timesOf(run) });
    let recorded = true;
    try {
      if (verb.effect === "change" || run.followed) await this.#record(result, closing);
      else if (closing !== undefined) await this.#options.outbox.log(closing);
    } catch (error) {
      // The work is done. The caller is told now, and the journal as soon as it takes it.
      onTrouble(`The result of ${run.id} cannot be recorded yet`, error);
      run.ended = result;
      run.settled.resolve(result);
      const late = this.#recordLate(result, closing);
      this.#late.add(late);
      recorded = await late;
      this.#late.delete(late);
    }
    // What cannot be removed is when the agent starts again.
    if (recorded) await kept?.remove().catch((error) => onTrouble(`What is left of ${run.id} stays`, error));
    run.settled.resolve(result);
    this.#active.delete(run.id);
    lease?.end(recorded && result.state !== "interrupted");
    if (verb.effect === "change") {
      counts.ended(result.state, result.startedAt === undefined ? undefined : result.durationMs);
      onChange();
    }
  }

  /** Tries to record a result until the disk takes it, or the agent stops: then it is found to be interrupted. */
  async #recordLate(result: Result, closing: Draft | undefined): Promise<boolean> {
    const { signal } = this.#stop;
    for (;;) {
      await pause(RECORD_AGAIN_MS, signal);
      const last = signal.aborted;
      try {
        await this.#record(result, closing);
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

  /** Puts a result into the journal and in line for the hub, behind the end of its output. */
  async #record(result: Result, closing?: Draft): Promise<void> {
    const { journal, outbox, node } = this.#options;
    const drafts = [...(closing === undefined ? [] : [closing]), ...resultReports(node, result)];
    await outbox.conclude(drafts, upLog(node, result.id), (reports) => journal.finish(result, reports));
  }

  /** Events of a run that goes on. Losing one to a full disk is no reason to stop: the result will tell. */
  #tell(draft: Draft): void {
    this.#options.outbox.facts([draft]).catch((error) => this.#options.onTrouble("An event could not be kept", error));
  }
}
