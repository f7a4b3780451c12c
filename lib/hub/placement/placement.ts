/** One command that may move: hears what happens to it, and does what `decide` concludes, one after the other. */
import type { Bucket } from "../../nats/bucket.ts";
import { XtaskError } from "../../protocol/error.ts";
import type { Event } from "../../protocol/event.ts";
import { HUB_AUTHOR } from "../../protocol/id.ts";
import { leaseTimes } from "../../protocol/lease.ts";
import type { Moving } from "../../protocol/moving.ts";
import type { CancelReply, Result } from "../../protocol/run.ts";
import { parseSelector } from "../../protocol/selector.ts";
import type { Sought } from "./choose.ts";
import {
  decide,
  type Fact,
  holds,
  keptOf,
  type Placing,
  type PlacingEffect,
  type PlacingEvent,
  revived,
  SUBMITTED,
} from "./decide.ts";

/** What came of a wish to cancel. */
export type Outcome = CancelReply["outcome"];

/** What a {@linkcode Placement} needs. */
export interface PlacementOptions {
  readonly bucket: Bucket<Moving>;
  /** Gives a command to a node under an epoch. Rejects with what the node says, or that it cannot be reached. */
  readonly give: (moving: Moving, node: string, lease: { epoch: number; leaseMs: number }) => Promise<unknown>;
  /** Wishes that a node ends its run. */
  readonly cancelOn: (node: string, id: string) => Promise<Outcome>;
  /** The newest result of a command that a node has handed over. */
  readonly resultOf: (id: string, node: string) => Promise<Result | undefined>;
  /** Tells what happened to a command. */
  readonly tell: (event: Event) => Promise<void>;
  readonly now: () => number;
  /** In ms of a clock that only grows. */
  readonly elapsed: () => number;
  readonly leaseMs: number;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
  /** The node that fits best now. */
  readonly chosen: (sought: Sought, not: string | undefined) => string | undefined;
  /** Hears that it is with another node, or with none. */
  readonly onWith: (before: string | undefined, after: string | undefined) => void;
  /** Hears that it has ended, and nothing of it is kept. */
  readonly onEnd: () => void;
}

/** Refusals that another node, or the same one later, need not repeat. */
const PASSING = ["unavailable", "timeout", "exhausted"];

/** One command that may move. */
export class Placement {
  readonly #options: PlacementOptions;
  readonly moving: Moving;
  readonly sought: Sought;
  #placing: Placing | undefined;
  /** What is to be done, in order. */
  #pending: PlacingEffect[] = [];
  #working: Promise<void> | undefined;
  readonly #beside = new Set<Promise<unknown>>();
  #cancelling: Promise<Outcome> | undefined;
  #troubled = false;
  #begun: boolean;

  private constructor(moving: Moving, placing: Placing | undefined, options: PlacementOptions, begun: boolean) {
    this.#options = options;
    this.moving = moving;
    this.sought = { capability: moving.capability, matches: parseSelector(moving.any) };
    this.#placing = placing;
    this.#begun = begun;
    options.onWith(undefined, this.node);
  }

  /** Settles when it is stored that there is this command, or cannot be. */
  kept: Promise<void> = Promise.resolve();

  /** One that has just been submitted: see {@linkcode Placement.begin}. */
  static submitted(moving: Omit<Moving, "placing">, options: PlacementOptions): Placement {
    return new Placement({ ...moving, placing: keptOf(SUBMITTED) }, SUBMITTED, options, false);
  }

  /** One that another hub left. */
  static revived(moving: Moving, options: PlacementOptions): Placement {
    const { placing, effects } = revived(moving.placing, options.elapsed());
    const placement = new Placement(moving, placing, options, true);
    placement.#pending.push(...effects);
    return placement;
  }

  /** The node that was given it last and may have it. */
  get node(): string | undefined {
    return this.#placing?.phase.name === "waiting" ? undefined : this.#placing?.node;
  }

  /** Of its newest attempt. Undefined once it has ended. */
  get epoch(): number | undefined {
    return this.#placing?.epoch;
  }

  get isWaiting(): boolean {
    return this.#begun && this.#placing?.phase.name === "waiting";
  }

  isHeldBy(node: string, epoch: number): boolean {
    return this.#placing !== undefined && holds(this.#placing, node, epoch);
  }

  /** Keeps and tells that it was submitted; then it looks for a node. */
  async begin(): Promise<void> {
    const { id, capability, verb, input, any, by, deadline, askedAt: at } = this.moving;
    const about = { at, node: HUB_AUTHOR, command: id, attempt: 0, capability, verb, input, deadline, any };
    try {
      await (this.kept = this.#store());
    } catch (error) {
      this.#placing = undefined;
      this.#options.onEnd();
      throw error;
    }
    // From here on it is kept, and goes on whether that can be told or not.
    await this.#options.tell({ type: "command_queued", ...about, ...(by && { by }) }).finally(() => {
      this.#begun = true;
      this.#push([{ type: "choose" }]);
    });
  }

  hear(event: PlacingEvent): void {
    if (this.#placing === undefined) return;
    const { elapsed, leaseMs, onWith } = this.#options;
    const before = this.node;
    const { placing, effects } = decide(this.#placing, event, elapsed(), leaseTimes(leaseMs));
    this.#placing = placing;
    if (this.node !== before) onWith(before, this.node);
    this.#push(effects);
  }

  tick(): void {
    const isPast = Date.parse(this.moving.deadline) <= this.#options.now();
    if (isPast && this.isWaiting) this.hear({ type: "overdue" });
    this.hear({ type: "tick" });
    this.#work();
  }

  /** Ends it. Resolves with where that was asked, and what came of it; with undefined where it had ended before. */
  async cancel(): Promise<Readonly<Record<string, Outcome>> | undefined> {
    const { node = HUB_AUTHOR } = this;
    if (this.#placing === undefined) return undefined;
    this.hear({ type: "cancel" });
    await this.#working;
    return { [node]: this.#placing === undefined ? "cancelled" : await this.#cancelling ?? "unreachable" };
  }

  /** Resolves when nothing is being done. */
  async settled(): Promise<void> {
    await this.#working;
    await Promise.all(this.#beside);
  }

  #push(effects: readonly PlacingEffect[]): void {
    // What it was before need not be kept any more, nor done.
    if (effects.some(({ type }) => type === "store" || type === "drop")) {
      this.#pending = this.#pending.filter(({ type }) => type === "tell" || type === "ask_cancel");
    }
    this.#pending.push(...effects);
    this.#work();
  }

  #work(): void {
    if (this.#pending.length === 0) return;
    this.#working ??= this.#workOff().finally(() => this.#working = undefined);
  }

  async #workOff(): Promise<void> {
    try {
      for (let effect = this.#pending[0]; effect !== undefined; effect = this.#pending[0]) {
        await this.#perform(effect);
        const done = effect;
        this.#pending = this.#pending.filter((other) => other !== done);
      }
      this.#troubled = false;
    } catch (error) {
      // It stays in line until the next tick.
      if (this.#troubled) return;
      this.#troubled = true;
      this.#options.log("warn", `${this.moving.id} waits: ${(error as Error).message}`);
    }
  }

  async #perform(effect: PlacingEffect): Promise<void> {
    const { bucket, cancelOn, resultOf, tell, chosen, onEnd, log } = this.#options;
    const { id } = this.moving;
    switch (effect.type) {
      case "store":
        return await this.#store();
      case "choose": {
        const node = chosen(this.sought, effect.not);
        if (node !== undefined) this.hear({ type: "fit", node });
        return;
      }
      case "give":
        return this.#aside(this.#give(effect.node, effect.epoch));
      case "seek_result": {
        const { node, epoch } = effect;
        const result = await resultOf(id, node);
        if (result?.attempt !== epoch) return this.hear({ type: "no_result", epoch });
        const { state, error } = result;
        return this.hear({ type: "result", node, epoch, state, ...(error === undefined ? {} : { error }) });
      }
      case "ask_cancel":
        this.#cancelling = cancelOn(effect.node, id).catch(() => "unreachable" as const);
        return this.#aside(this.#cancelling);
      case "tell":
        if (effect.fact.type === "moving") {
          log("warn", `${id} moves away from ${effect.fact.node}: ${effect.fact.reason}`);
        }
        return await tell(this.#eventOf(effect.fact));
      case "drop":
        await bucket.delete(id);
        return onEnd();
      default:
        return effect satisfies never;
    }
  }

  async #store(): Promise<void> {
    if (this.#placing === undefined) return;
    await this.#options.bucket.put(this.moving.id, { ...this.moving, placing: keptOf(this.#placing) });
  }

  async #give(node: string, epoch: number): Promise<void> {
    const { give, leaseMs } = this.#options;
    try {
      await give(this.moving, node, { epoch, leaseMs });
    } catch (thrown) {
      const error = XtaskError.from(thrown).toWire();
      this.hear({ type: "refused", node, epoch, error, final: !PASSING.includes(error.code) });
    }
  }

  #aside(promise: Promise<unknown>): void {
    const settled = promise.finally(() => this.#beside.delete(settled));
    this.#beside.add(settled);
  }

  #eventOf(fact: Fact): Event {
    const about = { at: new Date(this.#options.now()).toISOString(), command: this.moving.id, attempt: fact.epoch };
    switch (fact.type) {
      case "placed":
        return { type: "command_placed", ...about, node: fact.node };
      case "moving":
        return { type: "command_moving", ...about, node: fact.node, reason: fact.reason };
      case "ended": {
        const { state, error } = fact;
        return { type: "command_result", ...about, node: HUB_AUTHOR, state, durationMs: 0, error };
      }
      default:
        return fact satisfies never;
    }
  }
}
