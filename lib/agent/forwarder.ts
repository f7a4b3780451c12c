/**
 * Hands over what a leaf node keeps for the hub: in order, by batches that are stored whole or not at all, each exactly once.
 *
 * A batch begins with a mark and names the sequence that the mark before it has at the hub. Before it is sent the journal
 * knows where it ends. Whatever then happens, it is sent again as it was: either it is stored now, or the hub says that the
 * newest mark is another one, and that can only be its own. So nothing has to be read from the hub, and neither the age of
 * a message nor that of the agent matters.
 */
import * as v from "valibot";
import { type BatchOutcome, publishBatch } from "../nats/batch.ts";
import type { Bus } from "../nats/bus.ts";
import { type OutMessage, type OutState, outState, purgeOut, readOut } from "../nats/own_streams.ts";
import { pause } from "../os/pause.ts";
import { XtaskError } from "../protocol/error.ts";
import { BATCH_BYTES, BATCH_MAX, OUT_KEPT_MS } from "../protocol/limits.ts";
import { parseJson } from "../protocol/parse.ts";
import { upMark, upOfOut } from "../protocol/subjects.ts";
import type { JournalPort } from "./journal.ts";

/** Options of {@linkcode Forwarder}. */
export interface ForwarderOptions {
  readonly bus: Bus;
  readonly node: string;
  /** Id of the node's own store. */
  readonly store: string;
  readonly journal: JournalPort;
  /** Milliseconds on a clock that only goes forward. */
  readonly monotonic?: () => number;
  /** Hears that the hub has taken something. */
  readonly onContact: () => void;
  /** Hears why something could not be handed over, once for each outage. */
  readonly onTrouble: (error: unknown) => void;
}

const Position = v.object({
  store: v.string(),
  /** Sequence of the newest mark at the hub, as far as is known; 0 for none. */
  mark: v.number(),
  /** The hub has all up to here. */
  done: v.number(),
  /** A batch up to here is on its way, or was. */
  sent: v.optional(v.number()),
});
type Position = v.InferOutput<typeof Position>;

const SETTING = "forwarded";
/** While there is no link the server says so at once, which costs next to nothing: then it is tried again this soon. */
const NO_LINK_MS = 400;
/** Where the hub answers, but not as it should, it may have too much to do: nodes come back together. */
const RETRY_MS = { min: 200, max: 10_000 };
/**
 * Short at first, as the hub may have been started anew and know of nothing. A hub that was slow to begin a batch is given far
 * longer for the rest, and what was slower still is recognized when it is sent again. A link that is back ends the wait.
 */
const ANSWER_MS = { min: 3_000, max: 60_000 };

/** The way of reports from a node's own store to the hub. */
export class Forwarder implements AsyncDisposable {
  readonly #options: ForwarderOptions;
  readonly #stop = new AbortController();
  readonly #running: Promise<void>;
  #position: Position;
  /** Whether the batch up to `sent` may have reached the hub. */
  #maybeStored: boolean;
  /** What is to go out while there is no link: else it would be read anew with each attempt. */
  #ready: readonly OutMessage[] | undefined;
  /** Sequence of the newest report there is. */
  #last: number;
  #bytes: number;
  #wake = () => {};
  #idle: (() => void)[] = [];
  #answerMs = ANSWER_MS.min;
  #waiting = new AbortController();
  #moving = false;
  #moved = Promise.withResolvers<void>();
  /** What the hub has, and since when. */
  #passed: { readonly done: number; readonly mark: number; readonly at: number }[] = [];

  private constructor(options: ForwarderOptions, state: OutState) {
    this.#options = options;
    const saved = options.journal.setting(SETTING);
    const known = saved === undefined ? undefined : parseJson(Position, saved, "position of the forwarder");
    // Another store counts from 1 again.
    this.#position = known?.store === options.store ? known : { store: options.store, mark: 0, done: state.first - 1 };
    this.#maybeStored = this.#position.sent !== undefined;
    this.#last = Math.max(state.last, this.#position.done);
    this.#bytes = this.#last > this.#position.done ? state.bytes : 0;
    // What an agent before this one has handed over.
    const { done, mark } = this.#position;
    if (state.first <= done) this.#passed.push({ done, mark, at: this.#now() });
    this.#running = this.#run();
  }

  #now(): number {
    return (this.#options.monotonic ?? (() => performance.now()))();
  }

  /** Starts where the last one of this store stood. */
  static async start(options: ForwarderOptions): Promise<Forwarder> {
    return new Forwarder(options, await outState(options.bus));
  }

  /** Whether the hub has everything. */
  get empty(): boolean {
    return this.#position.done >= this.#last;
  }

  /** Of reports that the hub does not have, at most; none where it has all. */
  get backlogBytes(): number {
    return this.#bytes;
  }

  /** Resolves when less than so many bytes wait, at once while nothing moves: then waiting is in vain. */
  async room(bytes: number, signal: AbortSignal): Promise<void> {
    while (this.#moving && this.#bytes > bytes && !signal.aborted) await this.#moved.promise;
  }

  /** Tells of reports that are in the store now. */
  added(sequence: number, bytes: number): void {
    this.#last = Math.max(this.#last, sequence);
    this.#bytes += bytes;
    this.#wake();
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

  /** The link is back: what was asked before will not be answered. */
  linkIsBack(): void {
    this.#answerMs = ANSWER_MS.min;
    this.#waiting.abort();
  }

  /** Stops. What the hub does not have stays in the store. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#moves(false);
    this.#wake();
    for (const resolve of this.#idle) resolve();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { onTrouble, onContact } = this.#options;
    const { signal } = this.#stop;
    let retryMs = RETRY_MS.min;
    let troubled = false;
    while (!signal.aborted) {
      try {
        await this.#purge();
        if (this.empty) {
          await this.#more(signal);
          continue;
        }
        if (!await this.#handOver()) {
          this.#moves(false);
          if (!troubled) onTrouble(new Error("there is no link"));
          troubled = true;
          await pause(NO_LINK_MS * (0.5 + Math.random()), signal);
          continue;
        }
        this.#moves(true);
        onContact();
        retryMs = RETRY_MS.min;
        this.#answerMs = ANSWER_MS.min;
        troubled = false;
      } catch (error) {
        if (signal.aborted) return;
        this.#moves(false);
        if (!troubled) onTrouble(error);
        troubled = true;
        await pause(retryMs * (0.5 + Math.random()), signal);
        retryMs = Math.min(retryMs * 2, RETRY_MS.max);
      }
    }
  }

  #moves(moving: boolean): void {
    this.#moving = moving;
    this.#moved.resolve();
    this.#moved = Promise.withResolvers();
  }

  /** Resolves when there is more, or something to let go of. */
  async #more(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    const waited = new AbortController();
    const until = AbortSignal.any([signal, waited.signal]);
    await Promise.race([promise, ...(this.#passed.length > 0 ? [pause(OUT_KEPT_MS, until)] : [])]);
    waited.abort();
    this.#wake = () => {};
  }

  /** Hands over the next batch. False where there is no link. */
  async #handOver(): Promise<boolean> {
    const { bus, node, store } = this.#options;
    const messages = this.#ready ?? await this.#next();
    this.#ready = undefined;
    const last = messages.at(-1)?.sequence;
    if (last === undefined) return true;
    if (this.#position.sent === undefined) await this.#save({ sent: last });
    const mark = {
      subject: upMark(node, store),
      headers: {},
      payload: new TextEncoder().encode(JSON.stringify({ from: messages[0]?.sequence, to: last })),
    };
    const bytes = messages.reduce((sum, { payload }) => sum + payload.length, 0);
    let outcome: BatchOutcome;
    this.#waiting = new AbortController();
    const slowMs = Math.min(8 * this.#answerMs, ANSWER_MS.max);
    const all = [mark, ...messages.map(asSent)];
    try {
      outcome = await publishBatch(bus, all, {
        expected: this.#position.mark,
        answerMs: this.#answerMs,
        slowMs,
        signal: this.#waiting.signal,
      });
    } catch (error) {
      this.#maybeStored = true;
      const inVain = error instanceof XtaskError && error.code === "timeout" && !this.#waiting.signal.aborted;
      if (inVain) this.#answerMs = slowMs;
      throw error;
    }
    if ("away" in outcome) {
      this.#ready = messages;
      return false;
    }
    const newest = "first" in outcome ? outcome.first : outcome.newest;
    // A mark that is newer than the one that was named is this batch's own, if it can have arrived at all.
    const stored = "first" in outcome || newest > this.#position.mark && this.#maybeStored;
    if (stored) await this.#settle(last, newest, bytes);
    else if (newest < this.#position.mark) await this.#goBack(newest);
    else await this.#save({ mark: newest });
    return true;
  }

  /**
   * The hub's store is an older one, made of a backup: what is still here goes out once more. Where the mark was only too old
   * to be kept, all that was handed over has long been let go of, but for an agent that was killed and stayed away.
   */
  async #goBack(mark: number): Promise<void> {
    const { first } = await outState(this.#options.bus);
    const known = this.#passed.find((one) => one.mark === mark)?.done ?? first - 1;
    const done = Math.min(this.#position.done, known);
    this.#passed = this.#passed.filter((one) => one.done <= done);
    await this.#save({ mark, done, sent: undefined });
  }

  /** What goes out next: a batch that may have gone out before is made of the same reports. */
  async #next(): Promise<OutMessage[]> {
    const { bus } = this.#options;
    const { done, sent } = this.#position;
    const [count, bytes] = sent === undefined ? [BATCH_MAX, BATCH_BYTES] : [sent - done, 2 * BATCH_BYTES];
    const messages = (await readOut(bus, { from: done + 1, count, bytes }))
      .filter(({ sequence }) => sequence <= (sent ?? Infinity));
    if (messages.length > 0 && (sent === undefined || messages.at(-1)?.sequence === sent)) return messages;
    const { first } = await outState(bus);
    if (messages.length > 0 || first <= done + 1) {
      throw new XtaskError("internal", "The node's own store does not give out what it holds for the hub");
    }
    // Somebody else has let go of it.
    await this.#save({ done: first - 1, sent: undefined });
    return [];
  }

  async #settle(done: number, mark: number, bytes: number): Promise<void> {
    this.#maybeStored = false;
    this.#passed.push({ done, mark, at: this.#now() });
    await this.#save({ mark, done, sent: undefined });
    this.#bytes = this.empty ? 0 : Math.max(0, this.#bytes - bytes);
    if (!this.empty) return;
    const idle = this.#idle;
    this.#idle = [];
    for (const resolve of idle) resolve();
  }

  async #save(change: Partial<{ [K in keyof Position]: Position[K] | undefined }>): Promise<void> {
    const { store, mark, done, sent } = { ...this.#position, ...change } as Position;
    const position = { store, mark, done, ...(sent === undefined ? {} : { sent }) };
    // What the hub has is known, whether or not the disk takes it; a batch must not leave before the disk knows of it.
    if (sent === undefined) this.#position = position;
    await this.#options.journal.setSetting(SETTING, JSON.stringify(position));
    this.#position = position;
  }

  /** Lets go of what the hub has had for a while. */
  async #purge(): Promise<void> {
    const { bus } = this.#options;
    const before = this.#now() - OUT_KEPT_MS;
    const old = this.#passed.filter(({ at }) => at <= before).at(-1);
    if (old === undefined) return;
    await purgeOut(bus, old.done + 1);
    this.#passed = this.#passed.filter(({ at }) => at > before);
  }
}

function asSent({ subject, headers, payload }: OutMessage) {
  return { subject: upOfOut(subject), headers, payload };
}
