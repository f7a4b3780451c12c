/** A journal on a disk of the world: what was not written when the agent was killed is lost, and the disk can be full. */
import type { Accepted, JournalPort, Known, Report } from "../../../lib/agent/journal.ts";
import { XtaskError } from "../../../lib/protocol/error.ts";
import type { Result } from "../../../lib/protocol/run.ts";
import type { Random } from "../world/random.ts";
import type { Process, World } from "../world/world.ts";

/** What is on a disk, as the next agent will find it. */
export class JournalDisk {
  readonly runs = new Map<string, { readonly accepted: string; result?: string }>();
  readonly reports = new Map<number, Report>();
  readonly settings = new Map<string, string>();
  full = false;
  /** Hears of reports that are not kept any more. */
  onDropped: (reports: readonly Report[]) => void = () => {};
  /** Hears of results that are on disk. */
  onFinished: (result: Result) => void = () => {};
}

interface Write {
  /** Throws where it cannot be; then nothing of the transaction is. */
  readonly check: () => void;
  readonly apply: () => void;
  readonly resolve: () => void;
  readonly reject: (error: XtaskError) => void;
}

/** Options of {@linkcode SimulatedJournal}. */
export interface SimulatedJournalOptions {
  readonly world: World;
  /** The agent's. */
  readonly process: Process;
  readonly disk: JournalDisk;
  readonly random: Random;
}

/** How long a commit takes, mostly. */
const COMMIT_MS = 2;

/** The journal of one agent. */
export class SimulatedJournal implements JournalPort {
  readonly #options: SimulatedJournalOptions;
  #pending: Write[] = [];
  #open = true;
  #underway = false;
  #trouble: string | undefined;

  constructor(options: SimulatedJournalOptions) {
    this.#options = options;
    // Killed during a commit: it is there as a whole or not at all, and nobody was told.
    options.process.onKilled.push(() => {
      if (this.#open && this.#underway && options.random.chance(0.5) && !options.disk.full) this.#apply();
      this.#open = false;
    });
  }

  get trouble(): string | undefined {
    return this.#trouble;
  }

  accept(accepted: Accepted): Promise<void> {
    const { runs } = this.#options.disk;
    const text = JSON.stringify(accepted);
    const replaces = () => accepted.attempt > 1 && runs.get(accepted.id)?.result !== undefined;
    return this.#write(() => void runs.set(accepted.id, { accepted: text }), () => {
      if (runs.has(accepted.id) && !replaces()) throw new Error("UNIQUE constraint failed: runs.id");
    });
  }

  finish(result: Result, reports: readonly Report[]): Promise<void> {
    const { disk } = this.#options;
    const text = JSON.stringify(result);
    return this.#write(() => {
      const run = disk.runs.get(result.id);
      if (run !== undefined) run.result = text;
      this.#insert(reports);
      if (run !== undefined) disk.onFinished(result);
    });
  }

  keep(reports: readonly Report[]): Promise<void> {
    return this.#write(() => this.#insert(reports));
  }

  drop(seqs: readonly number[]): Promise<void> {
    const { disk } = this.#options;
    return this.#write(() => {
      const gone = seqs.flatMap((seq) => disk.reports.get(seq) ?? []);
      for (const seq of seqs) disk.reports.delete(seq);
      disk.onDropped(gone);
    });
  }

  find(id: string): Known | undefined {
    const run = this.#options.disk.runs.get(id);
    return run === undefined ? undefined : known(run);
  }

  unfinished(): Known[] {
    return [...this.#options.disk.runs.values()].filter(({ result }) => result === undefined).map(known);
  }

  reports({ from, maxBytes }: { from: number; maxBytes: number }): Report[] {
    const found: Report[] = [];
    let bytes = 0;
    const { reports } = this.#options.disk;
    for (const seq of [...reports.keys()].filter((seq) => seq >= from).sort((a, b) => a - b)) {
      const report = reports.get(seq) as Report;
      bytes += report.payload.length;
      if (found.length > 0 && bytes > maxBytes) break;
      found.push({ ...report });
    }
    return found;
  }

  backlog(): { readonly first?: number; readonly last?: number; readonly bytes: number } {
    const { reports } = this.#options.disk;
    const bytes = [...reports.values()].reduce((sum, { payload }) => sum + payload.length, 0);
    if (reports.size === 0) return { bytes };
    const seqs = [...reports.keys()];
    return { first: Math.min(...seqs), last: Math.max(...seqs), bytes };
  }

  setting(key: string): string | undefined {
    return this.#options.disk.settings.get(key);
  }

  setSetting(key: string, value: string): Promise<void> {
    const { settings } = this.#options.disk;
    return this.#write(() => void settings.set(key, value));
  }

  [Symbol.dispose](): void {
    if (!this.#open) return;
    this.#flush();
    this.#open = false;
  }

  #insert(reports: readonly Report[]): void {
    const { disk } = this.#options;
    for (const report of reports) if (!disk.reports.has(report.seq)) disk.reports.set(report.seq, report);
  }

  #write(apply: () => void, check = () => {}): Promise<void> {
    if (!this.#open) return Promise.reject(new XtaskError("unavailable", "The agent has stopped"));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pending.push({ check, apply, resolve, reject });
    if (!this.#underway) {
      this.#underway = true;
      const { world, process, random } = this.#options;
      world.after(random.around(COMMIT_MS), process, () => this.#flush());
    }
    return promise;
  }

  #flush(): void {
    const writes = this.#pending;
    const error = this.#apply();
    for (const { resolve, reject } of writes) error === undefined ? resolve() : reject(error);
  }

  /** Applies all that is pending, or nothing of it. */
  #apply(): XtaskError | undefined {
    this.#underway = false;
    const writes = this.#pending;
    this.#pending = [];
    try {
      if (writes.length > 0 && this.#options.disk.full) throw new Error("database or disk is full");
      for (const { check } of writes) check();
    } catch (cause) {
      this.#trouble = (cause as Error).message;
      return new XtaskError("exhausted", `The node's journal cannot be written: ${this.#trouble}`, {
        details: ["free some space on the node's disk"],
        cause,
      });
    }
    for (const { apply } of writes) apply();
    this.#trouble = undefined;
    return undefined;
  }
}

function known({ accepted, result }: { readonly accepted: string; readonly result?: string }): Known {
  return result === undefined
    ? { accepted: JSON.parse(accepted) }
    : { accepted: JSON.parse(accepted), result: JSON.parse(result) };
}
