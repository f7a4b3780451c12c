/**
 * What a node reports, on its way to the hub: in order, each kept until the hub's stream has acknowledged it. Facts
 * (results, events, alerts) are on disk from the start. Output of runs stays in memory while the link is up, where a slow
 * hub slows the run down; while the link is down it goes to disk up to a bound, and past it is left out with a count. What
 * the hub does not have of it when the run ends goes to disk with the result.
 */
import { LOG_SPOOL_BYTES, LOG_UNACKED_BYTES } from "../protocol/limits.ts";
import { pause } from "../os/pause.ts";
import type { JournalPort, Report } from "./journal.ts";

/** The way to the hub's stream. */
export interface Uplink {
  /** Resolves when the stream has stored the report; rejects where that cannot be known. `id` tells repeats apart. */
  send(report: Report, id: string, signal: AbortSignal): Promise<unknown>;
  /** Whether the link is up, as far as is known. */
  readonly up: boolean;
  /** Whether what lies between here and the hub has no room for output. Facts it takes, or leaves to the journal. */
  readonly full?: boolean;
  /** Resolves as soon as the link is up. */
  whenUp(signal: AbortSignal): Promise<void>;
}

/** A report before it has a place in the order. */
export type Draft = Omit<Report, "seq">;

/** Options of {@linkcode Outbox}. */
export interface OutboxOptions {
  readonly journal: JournalPort;
  readonly uplink: Uplink;
  /** Begins the id of each report, unique to this node. */
  readonly node: string;
  /** Hears why something could not be sent, once for each outage. */
  readonly onTrouble: (error: unknown) => void;
}

interface Entry {
  readonly report: Report;
  /** Whether the journal has it, or is about to. */
  kept: boolean;
  /** Whether its run was told that it is taken, or the hub may have it: it is not given up any more. */
  taken: boolean;
  /** Whether it was given up, as the disk would not take it. */
  lost: boolean;
  /** Hears that it is on disk, or further. */
  readonly onSafe?: (() => void) | undefined;
}

/** On their way at once. The stream stores them in this order, since they travel on one connection. */
const IN_FLIGHT_MAX = 64;
/** Read back from disk at a time. */
const REFILL_BYTES = 1024 * 1024;
const RETRY_MS = { min: 100, max: 5_000 };
/**
 * Each start of the agent has numbers of its own, so that a number which went out and left no trace on disk is never given
 * again: the stream would take the second report for a repeat of the first.
 */
const NUMBERS_PER_START = 2 ** 32;

/** The ordered, bounded queue of reports of one node. */
export class Outbox implements AsyncDisposable {
  readonly #options: OutboxOptions;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  /** In order; all that is not only on disk. */
  #entries: Entry[] = [];
  #next: number;
  /** What is kept with a number from here to `#diskTo` is on disk only; nothing in memory has a number in between. */
  #diskFrom: number;
  #diskTo: number;
  /** Of all that is kept on disk. */
  #spoolBytes: number;
  #spoolTroubled = false;
  #wake = () => {};
  #room: (() => void)[] = [];
  #idle: (() => void)[] = [];

  constructor(options: OutboxOptions) {
    this.#options = options;
    const { first, last, bytes } = options.journal.backlog();
    const start = Number(options.journal.setting("start") ?? 0) + 1;
    this.#next = Math.max(start * NUMBERS_PER_START, (last ?? 0) + 1);
    this.#diskFrom = first ?? this.#next;
    this.#diskTo = last ?? this.#next - 1;
    this.#spoolBytes = bytes;
    this.#done = this.#run(start);
  }

  /** Whether the hub has everything. */
  get empty(): boolean {
    return this.#entries.length === 0 && !this.#diskHolds;
  }

  get #diskHolds(): boolean {
    return this.#diskFrom <= this.#diskTo;
  }

  /** Of all reports that the hub has not acknowledged. */
  get backlogBytes(): number {
    return this.#spoolBytes +
      this.#entries.reduce((sum, { report, kept }) => kept ? sum : sum + report.payload.length, 0);
  }

  get #memoryBytes(): number {
    return this.#entries.reduce((sum, { report }) => sum + report.payload.length, 0);
  }

  /** Numbers, keeps and queues facts that tell of no change of a run. */
  async facts(drafts: readonly Draft[]): Promise<void> {
    const reports = this.#number(drafts);
    await this.#options.journal.keep(reports);
    this.#push(reports);
  }

  /**
   * Numbers, keeps and queues the facts that a run ends with, and keeps with them what is in memory alone of its output: what
   * has a result stays whole, whatever becomes of the agent.
   *
   * @param output The subject of its output
   * @param keep Has the journal keep reports together with the end that they tell of
   */
  async conclude(
    drafts: readonly Draft[],
    output: string,
    keep: (reports: readonly Report[]) => Promise<void>,
  ): Promise<void> {
    const reports = this.#number(drafts);
    const loose = this.#entries.filter(({ report, kept }) => !kept && report.subject === output);
    await this.#keep(loose, (rest) => keep([...rest, ...reports]));
    this.#push(reports);
  }

  /**
   * Takes output of a run. Resolves when there is room for more.
   *
   * @param onSafe Hears that it cannot be lost any more: it is on disk, or further
   * @returns Whether it was taken; false where the hub is away and the share for output of disk or store is used up
   */
  async log(draft: Draft, onSafe?: () => void): Promise<boolean> {
    const { uplink } = this.#options;
    if (uplink.full || !uplink.up && this.#spoolBytes + draft.payload.length > LOG_SPOOL_BYTES) return false;
    const [report] = this.#number([draft]) as [Report];
    const entry: Entry = { report, kept: false, taken: false, lost: false, onSafe };
    this.#add(entry);
    while (uplink.up && this.#memoryBytes > LOG_UNACKED_BYTES && !this.#stop.signal.aborted) {
      await new Promise<void>((resolve) => this.#room.push(resolve));
    }
    if (!uplink.up) await this.#spool();
    entry.taken = !entry.lost;
    return entry.taken;
  }

  /** Puts all that is in memory on disk: resolves when none of it can be lost any more, or the disk takes nothing. */
  async secure(): Promise<void> {
    await this.#spool();
  }

  /** Resolves when the hub has everything, or the signal fires. */
  async flushed(signal: AbortSignal): Promise<void> {
    while (!this.empty && !signal.aborted) {
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
  }

  /** Gives drafts their place in the order. */
  #number(drafts: readonly Draft[]): Report[] {
    return drafts.map((draft) => ({ ...draft, seq: this.#next++ }));
  }

  /** Puts numbered facts in line that the journal has already. */
  #push(reports: readonly Report[]): void {
    for (const report of reports) {
      this.#spoolBytes += report.payload.length;
      this.#add({ report, kept: true, taken: true, lost: false });
    }
    if (!this.#options.uplink.up) void this.#spool();
  }

  #add(entry: Entry): void {
    // A fact is numbered before the journal has it and queued after, so output may have come in between.
    const after = this.#entries.findLastIndex(({ report }) => report.seq < entry.report.seq);
    this.#entries.splice(after + 1, 0, entry);
    this.#wake();
  }

  /**
   * Moves what is in memory to disk, so that an outage of any length costs no memory. Where the disk refuses, new output is
   * given up; what was taken while the link was up, which is bounded, stays in memory; facts are on disk already.
   */
  async #spool(): Promise<void> {
    // A copy: what is added while the disk writes must not count as written.
    const moved = [...this.#entries];
    const loose = moved.filter(({ kept }) => !kept);
    try {
      await this.#keep(loose, (reports) => this.#options.journal.keep(reports));
      this.#spoolTroubled = false;
    } catch (error) {
      for (const entry of loose) entry.lost = !entry.taken;
      this.#entries = this.#entries.filter(({ lost }) => !lost);
      // Whoever hears of it may want to log it, which would end here again.
      if (this.#spoolTroubled) return;
      this.#spoolTroubled = true;
      this.#options.onTrouble(error);
      return;
    }
    // The disk has refused some of it in the meantime.
    if (moved.some(({ kept }) => !kept)) return;
    const first = moved[0]?.report.seq;
    const last = moved.at(-1)?.report.seq;
    if (first === undefined || last === undefined) return;
    [this.#diskFrom, this.#diskTo] = this.#diskHolds
      ? [Math.min(first, this.#diskFrom), Math.max(last, this.#diskTo)]
      : [first, last];
    // What came meanwhile stays in memory: it is newer, or was read back from disk. Only a fact that was numbered before
    // what was moved lies in between, and is on disk.
    this.#entries = this.#entries.filter(({ report }) => report.seq < this.#diskFrom || report.seq > this.#diskTo);
  }

  /** Has the journal keep what is in memory alone; what it refuses stays there. */
  async #keep(loose: readonly Entry[], keep: (reports: readonly Report[]) => Promise<void>): Promise<void> {
    const bytes = loose.reduce((sum, { report }) => sum + report.payload.length, 0);
    for (const entry of loose) entry.kept = true;
    this.#spoolBytes += bytes;
    try {
      await keep(loose.map(({ report }) => report));
    } catch (error) {
      for (const entry of loose) entry.kept = false;
      this.#spoolBytes = Math.max(0, this.#spoolBytes - bytes);
      throw error;
    }
    for (const { onSafe } of loose) onSafe?.();
  }

  async #run(start: number): Promise<void> {
    const { journal, uplink, onTrouble } = this.#options;
    const { signal } = this.#stop;
    let retryMs = RETRY_MS.min;
    let troubled = false;
    let claimed = false;
    while (!signal.aborted) {
      await uplink.whenUp(signal).catch(() => {});
      if (signal.aborted) return;
      if (this.empty) {
        await new Promise<void>((resolve) => this.#wake = resolve);
        this.#wake = () => {};
        continue;
      }
      try {
        if (!claimed) await journal.setSetting("start", String(start));
        claimed = true;
        this.#refill();
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

  /** Takes the oldest from disk back into memory, once all that is older still has gone. */
  #refill(): void {
    const oldest = this.#entries[0]?.report.seq ?? Infinity;
    if (!this.#diskHolds || oldest < this.#diskFrom) return;
    const reports = this.#options.journal.reports({ from: this.#diskFrom, maxBytes: REFILL_BYTES })
      .filter(({ seq }) => seq <= this.#diskTo);
    const last = reports.at(-1)?.seq;
    this.#diskFrom = last === undefined ? this.#diskTo + 1 : last + 1;
    this.#entries.unshift(...reports.map((report) => ({ report, kept: true, taken: true, lost: false })));
  }

  /** Sends the oldest entries, several on their way at once; drops each front run of acknowledged ones. */
  async #sendSome(signal: AbortSignal): Promise<void> {
    const { uplink, node } = this.#options;
    const before = this.#diskHolds ? this.#diskFrom : Infinity;
    const batch = this.#entries.slice(0, IN_FLIGHT_MAX).filter(({ report }) => report.seq < before);
    for (const entry of batch) entry.taken = true;
    const outcomes = await Promise.allSettled(
      batch.map(({ report }) => uplink.send(report, `${node}.${report.seq}`, signal)),
    );
    const failed = outcomes.findIndex(({ status }) => status === "rejected");
    const sent = new Set(failed < 0 ? batch : batch.slice(0, failed));
    const dropped: number[] = [];
    for (const { report, kept } of sent) {
      if (!kept) continue;
      dropped.push(report.seq);
      this.#spoolBytes = Math.max(0, this.#spoolBytes - report.payload.length);
    }
    // Gone from disk first: whoever is told that all has been handed over finds none of it there.
    if (dropped.length > 0) await this.#options.journal.drop(dropped);
    this.#entries = this.#entries.filter((entry) => !sent.has(entry));
    for (const { onSafe } of sent) onSafe?.();
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
