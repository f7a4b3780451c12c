/** Takes part in leading a project: starts what a leader runs when it is this process's turn, and stops it when it is over. */
import { type Bucket, openBucket } from "../nats/bucket.ts";
import type { Bus } from "../nats/bus.ts";
import { elapsedClock } from "../os/elapsed.ts";
import { XtaskError } from "../protocol/error.ts";
import { HubProcess } from "../protocol/health.ts";
import { BUCKETS } from "./buckets.ts";
import { decide, type LeaderEffect, type LeaderEvent, type LeaderState, leads, newLeader } from "./leader.ts";

/** Options of {@linkcode startLeading}. */
export interface LeadingOptions {
  /** For the key alone. It is not closed. */
  readonly bus: Bus;
  readonly self: HubProcess;
  /** Copies of the key in a cluster. */
  readonly replicas: number;
  /**
   * Starts what a leader runs; it is disposed when this process leads no more.
   *
   * @param maySend Whether it may write: looked at before each write, as a process may have been stopped since
   */
  readonly begin: (maySend: () => boolean) => Promise<AsyncDisposable>;
  /** In ms of a clock that only grows, also while the machine sleeps: another one may lead when it wakes. @default {elapsedClock()} */
  readonly elapsed?: () => number;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

/** A process that leads or stands by. Disposing it stops what it runs and gives the key to the next one. */
export interface Leading extends AsyncDisposable {
  /** It pauses where what a leader runs has been started here, and may not write just now. */
  readonly state: "leads" | "pauses" | "stands by";
  /** Whoever leads, as far as is known. */
  readonly leader: HubProcess | undefined;
  /** Resolves when it leads or knows who does. */
  readonly settled: Promise<void>;
}

const KEY = "leader";
const TICK_MS = 100;
/** A store that answers does so well within this. */
const STORE_MS = 1_500;

/**
 * Begins to take part.
 *
 * @throws {XtaskError} where the key cannot be kept: no JetStream, or fewer servers than copies
 */
export async function startLeading(options: LeadingOptions): Promise<Leading> {
  const { bus, replicas, elapsed = elapsedClock() } = options;
  const bucket = await openBucket(bus, { ...BUCKETS.leader, schema: HubProcess, replicas });
  return new Participant({ ...options, elapsed }, bucket);
}

type Settled = LeadingOptions & Required<Pick<LeadingOptions, "elapsed">>;

class Participant implements Leading {
  readonly #options: Settled;
  readonly #bucket: Bucket<HubProcess>;
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #settled = Promise.withResolvers<void>();
  readonly #gone = Promise.withResolvers<void>();
  #state: LeaderState;
  #leader: HubProcess | undefined;
  #told: string | undefined;
  #hub: Promise<AsyncDisposable | undefined> = Promise.resolve(undefined);
  #ending: Promise<void> = Promise.resolve();
  #running = false;
  #paused = false;
  #asked: Promise<void> = Promise.resolve();

  constructor(options: Settled, bucket: Bucket<HubProcess>) {
    this.#options = options;
    this.#bucket = bucket;
    this.#state = newLeader(options.self.id);
    this.#timer = setInterval(() => this.#on({ type: "tick" }), TICK_MS);
    this.#on({ type: "tick" });
  }

  get settled(): Promise<void> {
    return this.#settled.promise;
  }

  get state(): Leading["state"] {
    if (!this.#running) return "stands by";
    return this.#maySend() ? "leads" : "pauses";
  }

  get leader(): HubProcess | undefined {
    // What it has begun and lost it no longer leads, whatever the key said last.
    return this.#leader?.id === this.#options.self.id && !this.#running ? undefined : this.#leader;
  }

  readonly #maySend = () => leads(this.#state, this.#options.elapsed());

  async [Symbol.asyncDispose](): Promise<void> {
    this.#on({ type: "leave" });
    await this.#gone.promise;
    clearInterval(this.#timer);
    await this.#asked;
    await this.#ending;
  }

  #on(event: LeaderEvent): void {
    const { state, effects } = decide(this.#state, event, this.#options.elapsed());
    this.#state = state;
    this.#tellPause();
    for (const effect of effects) this.#perform(effect);
  }

  #tellPause(): void {
    const { log } = this.#options;
    const paused = this.#running && !this.#maySend();
    if (paused === this.#paused) return;
    this.#paused = paused;
    if (paused) log("warn", "pauses: it could not say in time that it leads");
    else if (this.#running) log("info", "goes on: nobody else has led meanwhile");
  }

  #perform(effect: LeaderEffect): void {
    switch (effect.type) {
      case "read":
      case "write":
      case "release":
        this.#asked = this.#ask(effect);
        return;
      case "begin":
        this.#hub = this.#begin(effect.begun);
        return;
      case "end":
        this.#ending = this.#end(this.#state.begun);
        return;
      case "gone":
        this.#gone.resolve();
        return;
      default:
        effect satisfies never;
    }
  }

  async #ask(effect: Extract<LeaderEffect, { type: "read" | "write" | "release" }>): Promise<void> {
    const { self } = this.#options;
    try {
      if (effect.type === "read") {
        const { value, revision } = await this.#bucket.revised(KEY, STORE_MS);
        this.#see(value);
        return this.#on({ type: "read", revision, holder: value?.id });
      }
      const value = effect.type === "write" ? self : undefined;
      const revision = await this.#bucket.swap(KEY, value, effect.revision, STORE_MS);
      this.#leader = value;
      this.#on({ type: "written", revision });
    } catch (thrown) {
      this.#on({ type: XtaskError.from(thrown).code === "conflict" ? "refused" : "failed" });
    }
  }

  /** Tells of who leads, where it is another one than before. */
  #see(leader: HubProcess | undefined): void {
    const { self, log } = this.#options;
    this.#leader = leader;
    if (leader === undefined || leader.id === self.id) return;
    this.#settled.resolve();
    if (this.#told === leader.id) return;
    this.#told = leader.id;
    log("info", `stands by: ${nameOf(leader)} leads`);
  }

  async #begin(begun: number): Promise<AsyncDisposable | undefined> {
    const { begin, log } = this.#options;
    try {
      const hub = await begin(this.#maySend);
      this.#running = true;
      this.#told = undefined;
      log("info", "leads");
      this.#settled.resolve();
      return hub;
    } catch (thrown) {
      const { message, details } = XtaskError.from(thrown);
      // What is over already need not be explained.
      if (this.#maySend()) log("error", `cannot lead: ${[message, ...details].join("; ")}`);
      this.#on({ type: "ended", begun, failed: true });
      return undefined;
    }
  }

  async #end(begun: number): Promise<void> {
    const { log } = this.#options;
    const lost = this.#state.leaving === "no";
    this.#running = false;
    const hub = await this.#hub;
    this.#running = false;
    try {
      await hub?.[Symbol.asyncDispose]();
    } catch (error) {
      log("warn", `did not end as it should: ${(error as Error).message}`);
    }
    if (hub !== undefined && lost) {
      log("warn", "leads no more: another one does, or may");
    }
    this.#on({ type: "ended", begun, failed: false });
  }
}

/** A hub process in a few words. */
export function nameOf({ hostname, pid, id }: HubProcess): string {
  return `${hostname}/${pid} (${id})`;
}
