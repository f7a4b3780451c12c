/**
 * Keeps the leases of a node's runs: asks the hub for all of them at once, lets a run begin when it has one, and ends it when
 * it has none. It runs on the agent's main thread, where no verb does any work, so that work cannot hold it up.
 */
import { XtaskError } from "../protocol/error.ts";
import type { LeasedRun, Renewed } from "../protocol/lease.ts";
import { LEASES_MAX } from "../protocol/limits.ts";
import {
  boundsOf,
  decide,
  type LeaseEffect,
  type LeaseEvent,
  type Leases as State,
  NO_LEASES,
  type RunBound,
} from "./lease.ts";

/** What {@linkcode Leases} needs. */
export interface LeasesOptions {
  /** Asks the hub. Rejects where no answer comes in time. */
  readonly renew: (runs: readonly LeasedRun[], withinMs: number) => Promise<Renewed>;
  /** In ms of a clock that only grows, also while the machine sleeps. */
  readonly elapsed: () => number;
  /** Hears how long runs may go on, anew with every renewal: whoever hears it ends them where this process stands still. */
  readonly onBounds?: ((bounds: readonly RunBound[]) => void) | undefined;
}

/** A lease that a run was given. */
export interface LeaseGiven extends LeasedRun {
  readonly leaseMs: number;
}

/** A run under a lease. */
export interface RunUnderLease {
  /** Aborted where the run is to end for whatever reason. */
  readonly signal: AbortSignal;
  /** It must end; the run decides how it says so. */
  onStop(reason: XtaskError): void;
  /** It must be over now. */
  onKill(): void;
}

/** What a run holds. */
export interface LeaseHeld {
  /** Resolves when the run may begin; rejects with the signal's reason where it is to end before. */
  readonly begun: Promise<void>;
  /** The run is over. `settled`: with a result, which the hub waits for. */
  end(settled: boolean): void;
}

/** A lease is looked at this often, so that one that lapsed while nothing ran here is seen at once: a part of its length… */
const LOOKS_PER_LEASE = 60;
/** …and never more rarely than this. */
const LOOK_MS_MAX = 250;

interface Holder extends RunUnderLease {
  readonly begin: () => void;
}

/** The leases of one node. */
export class Leases implements Disposable {
  readonly #options: LeasesOptions;
  readonly #holders = new Map<string, Holder>();
  #state: State = NO_LEASES;
  #looking: ReturnType<typeof setInterval> | undefined;
  #lookMs = LOOK_MS_MAX;
  #soon = false;
  #closed = false;
  /** What `onBounds` has heard. */
  #told = "";

  constructor(options: LeasesOptions) {
    this.#options = options;
  }

  /** @throws {XtaskError} `exhausted` where there are too many already */
  assertRoom(): void {
    if (this.#state.byId.size < LEASES_MAX) return;
    throw new XtaskError("exhausted", `The node has ${LEASES_MAX} commands that may move already`, {
      details: ["ask another node, or try again later"],
    });
  }

  /** A run begins its lease. */
  take({ id, epoch, leaseMs }: LeaseGiven, run: RunUnderLease): LeaseHeld {
    const { promise: begun, resolve: begin, reject } = Promise.withResolvers<void>();
    // Nobody waits for it while there is no slot.
    begun.catch(() => {});
    const over = () => reject(run.signal.reason);
    run.signal.addEventListener("abort", over, { once: true });
    // Its deadline may have passed on the way here.
    if (run.signal.aborted) over();
    this.#holders.set(id, { ...run, begin });
    this.#hear({ type: "taken", run: { id, epoch }, leaseMs });
    this.#lookOften(leaseMs);
    this.#lookSoon();
    return {
      begun,
      end: (settled) => {
        this.#holders.delete(id);
        this.#hear({ type: "ended", id, settled });
        this.#rest();
      },
    };
  }

  /** Ends what has lapsed. To be called before anything of a run is told, since this process may have been stopped. */
  look(): void {
    if (this.#state.byId.size > 0) this.#hear({ type: "tick" });
  }

  [Symbol.dispose](): void {
    this.#closed = true;
    clearInterval(this.#looking);
  }

  #lookOften(leaseMs: number): void {
    const lookMs = Math.min(this.#lookMs, leaseMs / LOOKS_PER_LEASE);
    if (this.#closed || (this.#looking !== undefined && lookMs === this.#lookMs)) return;
    clearInterval(this.#looking);
    this.#lookMs = lookMs;
    this.#looking = setInterval(() => {
      this.look();
      this.#rest();
    }, lookMs);
  }

  /** Those that are taken in one turn are asked for together. */
  #lookSoon(): void {
    if (this.#soon) return;
    this.#soon = true;
    setTimeout(() => {
      this.#soon = false;
      if (!this.#closed) this.look();
    }, 0);
  }

  #rest(): void {
    if (this.#state.byId.size > 0) return;
    clearInterval(this.#looking);
    this.#looking = undefined;
    this.#lookMs = LOOK_MS_MAX;
  }

  #hear(event: LeaseEvent): void {
    const now = this.#options.elapsed();
    const { leases, effects } = decide(this.#state, event, now);
    this.#state = leases;
    this.#tellBounds(now);
    for (const effect of effects) this.#apply(effect);
  }

  #tellBounds(now: number): void {
    const { onBounds } = this.#options;
    if (onBounds === undefined) return;
    const bounds = boundsOf(this.#state, now);
    const told = bounds.map(({ id, killMs }) => `${id} ${now + killMs}`).join();
    if (told !== this.#told) onBounds(bounds);
    this.#told = told;
  }

  #apply(effect: LeaseEffect): void {
    switch (effect.type) {
      case "renew":
        return void this.#renew(effect);
      case "begin":
        return this.#holders.get(effect.id)?.begin();
      case "stop":
        return this.#holders.get(effect.id)?.onStop(reasonOf(effect.why));
      case "kill":
        return this.#holders.get(effect.id)?.onKill();
      default:
        return effect satisfies never;
    }
  }

  async #renew({ number, runs, withinMs }: LeaseEffect & { type: "renew" }): Promise<void> {
    let answered: LeaseEvent;
    try {
      answered = { type: "answered", number, ...await this.#options.renew(runs, withinMs) };
    } catch {
      // Whatever the reason: without an answer nothing is renewed, and it is asked again.
      answered = { type: "failed", number };
    }
    if (!this.#closed) this.#hear(answered);
  }
}

function reasonOf(why: "lapsed" | "lost"): XtaskError {
  return new XtaskError(
    "unavailable",
    why === "lapsed"
      ? "The hub could not be reached in time; it may start this on another node, so it was ended here"
      : "The hub has taken this back, and may start it on another node",
  );
}
