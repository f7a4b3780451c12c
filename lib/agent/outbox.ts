/**
 * What a node reports, on its way to the hub: in order, each kept until the hub's stream has acknowledged it. Facts
 * (results, events, alerts) are on disk from the start. Output of runs stays in memory while the link is up, where a slow
 * hub slows the run down; while the link is down it goes to disk up to a bound, and past it is left out with a count.
 */
import { LOG_SPOOL_BYTES, LOG_UNACKED_BYTES } from "../protocol/limits.ts";
import { pause } from "../os/pause.ts";
import type { Journal, Report } from "./journal.ts";

/** The way to the hub's stream. */
export interface Uplink {
  /** Resolves when the stream has stored the report; rejects where that cannot be known. `id` tells repeats apart. */
  send(report: Report, id: string, signal: AbortSignal): Promise<void>;
  /** Whether the link is up, as far as is known. */
  readonly up: boolean;
  /** Resolves as soon as the link is up. */
  whenUp(signal: AbortSignal): Promise<void>;
}

/** A report before it has a place in the order. */
export type Draft = Omit<Report, "seq">;

/** Options of {@linkcode Outbox}. */
export interface OutboxOptions {
  readonly journal: Journal;
  readonly uplink: Uplink;
  /** Begins the id of each report, unique to this node. */
  readonly node: string;
  /** Hears why something could not be sent, once for each outage. */
  readonly onTrouble: (error: unknown) => void;
}

interface Entry {
  readonly report: Report;
  readonly log: boolean;
  /** Whether the journal has it. */
  kept: boolean;
}

/** On their way at once. The stream stores them in this order, since they travel on one connection. */
const IN_FLIGHT_MAX = 64;
/** Read back from disk at a time. */
const REFILL_BYTES = 1024 * 1024;
const RETRY_MS = { min: 100, max: 5_000 };

/** The ordered, bounded queue of reports of one node. */
export class Outbox implements AsyncDisposable {
  readonly #options: OutboxOptions;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  /** In order; all that is not only on disk. */
  #entries: Entry[] = [];
  #next: number;
  /** Everything from here to `#diskTo` is on disk only, and older than what is in memory. */
  #diskFrom: number;
  #diskTo: number;
  #spoolBytes: number;
  #wake = () => {};
  #room: (() => void)[] = [];
  #idle: (() => void)[] = [];

  constructor(options: OutboxOptions) {
    this.#options = options;
    const { first, last, bytes } = options.journal.backlog();
    const lastSeq = Math.max(last ?? 0, Number(options.journal.setting("seq") ?? 0));
    this.#next = lastSeq + 1;
    this.#diskFrom = first ?? this.#next;
    this.#diskTo = last ?? lastSeq;
    this.#spoolBytes = bytes;
    this.#done = this.#run();
  }

  /** Reports that the hub does not have yet. */
  get backlog(): number {
    return this.#entries.length + Math.max(0, this.#diskTo - this.#diskFrom + 1);
  }

  get #memoryBytes(): number {
    return this.#entries.reduce((sum, { report }) => sum + report.payload.length, 0);
  }

  /** Gives drafts their place in the order. The caller hands them to the journal with the change they tell of, then to `push`. */
  number(drafts: readonly Draft[]): Report[] {
    return drafts.map((draft) => ({ ...draft, seq: this.#next++ }));
  }

  /** Puts numbered facts in line that the journal has already. */
  push(reports: readonly Report[]): void {
    for (const report of reports) this.#add({ report, log: false, kept: true });
    if (!this.#options.uplink.up) void this.#spool();
  }

  /** Numbers, keeps and queues facts that tell of no change of a run. */
  async facts(drafts: readonly Draft[]): Promise<void> {
    const reports = this.number(drafts);
    await this.#options.journal.keep(reports);
    this.push(reports);
  }

  /**
   * Takes output of a run. Resolves when there is room for more.
   *
   * @returns Whether it was taken; false where the hub is away and the disk's share for output is used up
   */
  async log(draft: Draft): Promise<boolean> {
    const { uplink } = this.#options;
    if (!uplink.up && this.#spoolBytes + draft.payload.length > LOG_SPOOL_BYTES) return false;
    const [report] = this.number([draft]) as [Report];
    const entry: Entry = { report, log: true, kept: false };
    this.#add(entry);
    while (uplink.up && this.#memoryBytes > LOG_UNACKED_BYTES && !this.#stop.signal.aborted) {
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
    return uplink.up || await this.#spool();
  }

  /** Resolves when the hub has everything, or the signal fires. */
  async flushed(signal: AbortSignal): Promise<void> {
    while (this.backlog > 0 && !signal.aborted) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#idle.push(resolve);
      signal.addEventListener("abort", () => resolve(), { once: true });
      await promise;
    }
  }

  /** Stops sending. What the hub does not have stays in the journal. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#wake();
    for (const resolve of [...this.#room, ...this.#idle]) resolve();
    await this.#done;
    await this.#spool();
    await this.#options.journal.setSetting("seq", String(this.#next - 1));
  }

  #add(entry: Entry): void {
    // A fact is numbered before the journal has it and queued after, so output may have come in between.
    const after = this.#entries.findLastIndex(({ report }) => report.seq < entry.report.seq);
    this.#entries.splice(after + 1, 0, entry);
    this.#wake();
  }

  /**
   * Moves what is in memory to disk, so that an outage of any length costs no memory. Where the disk refuses, output is
   * given up; facts are on it already.
   *
   * @returns Whether nothing was given up
   */
  async #spool(): Promise<boolean> {
    const moved = this.#entries;
    const loose = moved.filter(({ kept }) => !kept);
    for (const entry of loose) entry.kept = true;
    try {
      await this.#options.journal.keep(loose.map(({ report }) => report));
    } catch (error) {
      this.#options.onTrouble(error);
      this.#entries = this.#entries.filter((entry) => !loose.includes(entry));
      return false;
    }
    for (const { report } of loose) this.#spoolBytes += report.payload.length;
    // What came meanwhile stays in memory: it is newer. What was sent meanwhile is dropped from disk by its number.
    const first = moved[0]?.report.seq;
    const last = moved.at(-1)?.report.seq;
    if (first === undefined || last === undefined || this.#entries[0] !== moved[0]) return true;
    if (this.#diskFrom > this.#diskTo) this.#diskFrom = first;
    this.#diskTo = last;
    const gone = new Set(moved);
    this.#entries = this.#entries.filter((entry) => !gone.has(entry));
    return true;
  }

  async #run(): Promise<void> {
    const { uplink, onTrouble } = this.#options;
    const { signal } = this.#stop;
    let retryMs = RETRY_MS.min;
    let troubled = false;
    while (!signal.aborted) {
      await uplink.whenUp(signal).catch(() => {});
      if (signal.aborted) return;
      if (this.#entries.length === 0 && this.#diskFrom > this.#diskTo) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        this.#wake = () => {};
        continue;
      }
      this.#refill();
      try {
        await this.#sendSome(signal);
        retryMs = RETRY_MS.min;
        troubled = false;
      } catch (error) {
        if (signal.aborted) return;
        if (!troubled) onTrouble(error);
        troubled = true;
        this.#freeWaiters();
        await pause(retryMs * (0.5 + Math.random()), signal);
        retryMs = Math.min(retryMs * 2, RETRY_MS.max);
      }
    }
  }

  /** Takes the oldest from disk back into memory, in front of what is there. */
  #refill(): void {
    if (this.#diskFrom > this.#diskTo) return;
    const inMemory = new Set(this.#entries.map(({ report }) => report.seq));
    const reports = this.#options.journal.reports({ from: this.#diskFrom, maxBytes: REFILL_BYTES })
      .filter(({ seq }) => seq <= this.#diskTo && !inMemory.has(seq));
    const last = reports.at(-1)?.seq;
    this.#diskFrom = last === undefined ? this.#diskTo + 1 : last + 1;
    this.#entries.unshift(...reports.map((report) => ({ report, log: false, kept: true })));
  }

  /** Sends the oldest entries, several on their way at once; drops each front run of acknowledged ones. */
  async #sendSome(signal: AbortSignal): Promise<void> {
    const { uplink, node } = this.#options;
    const batch = this.#entries.slice(0, IN_FLIGHT_MAX);
    const outcomes = await Promise.allSettled(
      batch.map(({ report }) => uplink.send(report, `${node}.${report.seq}`, signal)),
    );
    const failed = outcomes.findIndex(({ status }) => status === "rejected");
    const sent = new Set(failed < 0 ? batch : batch.slice(0, failed));
    this.#entries = this.#entries.filter((entry) => !sent.has(entry));
    const dropped: number[] = [];
    for (const { report, kept } of sent) {
      if (!kept) continue;
      dropped.push(report.seq);
      this.#spoolBytes = Math.max(0, this.#spoolBytes - report.payload.length);
    }
    if (dropped.length > 0) await this.#options.journal.drop(dropped);
    this.#freeWaiters();
    const failure = outcomes[failed];
    if (failure?.status === "rejected") throw failure.reason;
  }

  #freeWaiters(): void {
    const [room, idle] = [this.#room, this.#idle];
    this.#room = [];
    this.#idle = [];
    for (const resolve of [...room, ...idle]) resolve();
  }
}
