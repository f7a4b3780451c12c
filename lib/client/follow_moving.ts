/** Follows a command that may move: the attempt that counts, on whichever node it is, until there is an outcome. */
import type { Bus } from "../nats/bus.ts";
import { pause } from "../os/pause.ts";
import { XtaskError } from "../protocol/error.ts";
import type { CommandRecord } from "../protocol/run.ts";
import type { TerminalState } from "../protocol/state.ts";
import { isTerminal } from "../protocol/state.ts";
import { EVENTS_ANY } from "../protocol/subjects.ts";
import { follow, type FollowEvent } from "./follow.ts";

/** What happens to a command that may move. */
export type MovingEvent =
  | FollowEvent
  /** A node has it. */
  | { readonly type: "placed"; readonly node: string; readonly attempt: number }
  /** The node has it no more; nothing of that attempt counts. */
  | { readonly type: "moving"; readonly node: string; readonly attempt: number; readonly reason: string }
  /** It has ended on no node. */
  | { readonly type: "ended"; readonly state: TerminalState; readonly error: XtaskError };

/** What is followed. */
export interface Followed {
  readonly id: string;
  /** Asks the hub for what it knows of it. */
  readonly show: () => Promise<CommandRecord>;
}

/** Events may be missed while the link is down. */
const ASK_MS = 3_000;

/** See {@linkcode MovingEvent}. Ends with a result that counts or `ended`, or when the signal fires. */
export async function* followMoving(bus: Bus, followed: Followed, signal?: AbortSignal): AsyncIterable<MovingEvent> {
  const stop = new AbortController();
  const within = signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]);
  const watch = new Watch(bus, followed, within);
  let [seen, lost] = [0, 0];
  try {
    while (!within.aborted) {
      const record = await watch.until(({ move }) =>
        move !== undefined &&
        (move.ended !== undefined || move.attempt > seen || move.lost.some(({ attempt }) => attempt > lost))
      );
      const move = record?.move;
      if (move === undefined) return;
      for (const { attempt, node, reason } of move.lost) {
        if (attempt > lost) yield { type: "moving", attempt, node, reason };
        lost = Math.max(lost, attempt);
      }
      if (move.ended !== undefined) {
        const { state, error } = move.ended;
        if (!isTerminal(state)) return;
        const why = error ?? { code: "internal" as const, message: `It ended as ${state}` };
        return yield { type: "ended", state, error: XtaskError.fromWire(why) };
      }
      if (move.attempt <= seen || move.node === undefined) continue;
      seen = move.attempt;
      yield { type: "placed", node: move.node, attempt: seen };
      for await (const event of followAttempt(bus, followed.id, { node: move.node, attempt: seen }, watch, within)) {
        yield event;
        if (event.type === "result") return;
      }
    }
  } finally {
    stop.abort();
    await watch.ended;
  }
}

/** One attempt, until it has an outcome, or the hub says that it has none. */
async function* followAttempt(
  bus: Bus,
  id: string,
  { node, attempt }: { readonly node: string; readonly attempt: number },
  watch: Watch,
  signal: AbortSignal,
): AsyncIterable<FollowEvent> {
  const over = new AbortController();
  const within = AbortSignal.any([over.signal, signal]);
  const watching = watch.until(({ move }) =>
    move !== undefined &&
    (move.attempt > attempt || move.ended !== undefined || move.lost.some((lost) => lost.attempt === attempt)), within)
    .then(() => over.abort());
  try {
    for await (const event of follow(bus, id, [node], within, attempt)) {
      // Where it stays silent the hub moves it, and says so.
      if (event.type === "silent") continue;
      // What was interrupted goes on elsewhere.
      if (event.type === "result" && event.result.state === "interrupted") break;
      yield event;
    }
    // The hub is about to say so.
    if (!within.aborted) await watching;
  } finally {
    over.abort();
    await watching;
  }
}

/** What the hub knows of a command, looked up again whenever something happens to it. */
class Watch {
  readonly #bus: Bus;
  readonly #followed: Followed;
  readonly #signal: AbortSignal;
  #wake = Promise.withResolvers<void>();
  readonly ended: Promise<void>;

  constructor(bus: Bus, followed: Followed, signal: AbortSignal) {
    this.#bus = bus;
    this.#followed = followed;
    this.#signal = signal;
    const subscription = bus.subscribe(EVENTS_ANY, (message) => {
      if (message.text().includes(followed.id)) this.#changed();
    });
    this.ended = (async () => {
      while (!signal.aborted) {
        await pause(ASK_MS, signal);
        this.#changed();
      }
      subscription[Symbol.dispose]();
    })();
  }

  #changed(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers();
  }

  /** The record, once it is so; undefined where the signal fires before. */
  async until(is: (record: CommandRecord) => boolean, signal = this.#signal): Promise<CommandRecord | undefined> {
    while (!signal.aborted) {
      const { promise: changed } = this.#wake;
      try {
        const record = await this.#followed.show();
        if (is(record)) return record;
      } catch (error) {
        // A hub that is away knows it still when it is back.
        if (XtaskError.from(error).code === "not_found") throw error;
        // Once the connection is closed for good there is nobody to ask.
        await this.#bus.whenUp(signal).catch((closed) => {
          if (!signal.aborted) throw closed;
        });
      }
      const { promise: aborted, resolve } = Promise.withResolvers<void>();
      const onAbort = () => resolve();
      signal.addEventListener("abort", onAbort, { once: true });
      if (!signal.aborted) await Promise.race([changed, aborted]);
      signal.removeEventListener("abort", onAbort);
    }
    return undefined;
  }
}
