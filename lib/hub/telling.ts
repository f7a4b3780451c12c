/**
 * What the hub itself has to tell, on its way into the stream: nodes' comings and goings, and alerts, in order, each until it
 * is stored. They happen just when links and servers go down, so what cannot be stored waits until the hub's server is back.
 */
import type { Bus } from "../nats/bus.ts";
import { publishStored } from "../nats/uplink.ts";
import { pause } from "../os/pause.ts";
import type { Event } from "../protocol/event.ts";
import { HUB_AUTHOR } from "../protocol/id.ts";
import { TOLD_WAITING_MAX } from "../protocol/limits.ts";
import { upAlert, upEvent } from "../protocol/subjects.ts";

/** What the hub tells in this way. */
export type ToldEvent = Extract<Event, { type: "node_joined" | "node_left" | "alert" }>;

/** What becomes of something that is told. */
export interface Told {
  /** Resolves when the stream has it, or it has to wait. */
  readonly tried: Promise<void>;
  /** Whether the stream has it, once that is so; false where it was given up, which is logged. */
  readonly stored: Promise<boolean>;
}

/** Tells everybody. Disposing it gives what waits a moment still, unless the server is away. */
export interface Teller extends AsyncDisposable {
  /** Tells of it, now or later. */
  tell(event: ToldEvent): Told;
  /** Whether the stream does not have all of it yet. */
  readonly waits: boolean;
}

interface Waiting {
  readonly event: ToldEvent;
  /** The stream takes an id once, however often it is sent. */
  readonly id: string;
  readonly tried: () => void;
  readonly ended: (stored: boolean) => void;
}

/** On their way at once. The stream stores them in this order, since they travel on one connection. */
const IN_FLIGHT_MAX = 64;
const RESUME_MS = 500;
const LAST_MS = 1_000;
/** Of those that are given up, named in a line. */
const SHOWN = 20;

/** Begins to tell. */
export function openTeller(
  { bus, log }: { readonly bus: Bus; readonly log: (level: "warn" | "error", message: string) => void },
): Teller {
  const stop = new AbortController();
  const { signal } = stop;
  let waiting: Waiting[] = [];
  let wake = () => {};
  let idle = () => {};

  const giveUp = (some: readonly Waiting[], why: string) => {
    if (some.length === 0) return;
    const what = some.map(({ event: { type, node } }) => `${type} of ${node}`);
    log("error", `${what.slice(0, SHOWN).join(", ")}${what.length > SHOWN ? " and more" : ""}: not told, as ${why}`);
    for (const { tried, ended } of some) {
      ended(false);
      tried();
    }
  };
  const store = ({ event, id }: Waiting) =>
    Promise.all(
      reportsOf(event).map(({ subject, value }) => {
        const payload = new TextEncoder().encode(JSON.stringify(value));
        return publishStored(bus, { subject, headers: {}, payload }, { id: `${id}.${subject}`, signal });
      }),
    );
  const storeSome = async () => {
    const batch = waiting.slice(0, IN_FLIGHT_MAX);
    const outcomes = await Promise.allSettled(batch.map(store));
    const failed = outcomes.findIndex(({ status }) => status === "rejected");
    // What came behind one that failed is sent again with it, and found by its id where it is stored already.
    const stored = new Set(failed < 0 ? batch : batch.slice(0, failed));
    waiting = waiting.filter((one) => !stored.has(one));
    for (const { ended } of stored) ended(true);
    for (const { tried } of batch) tried();
    const failure = outcomes[failed];
    if (failure?.status === "rejected") throw failure.reason;
  };
  const telling = (async () => {
    let troubled = false;
    while (!signal.aborted) {
      if (waiting.length === 0) {
        idle();
        await new Promise<void>((resolve) => wake = resolve);
        continue;
      }
      try {
        // The link may have gone down under what came while others were on their way.
        if (!bus.up) {
          for (const { tried } of waiting) tried();
        }
        await bus.whenUp(signal);
        await storeSome();
        troubled = false;
      } catch (error) {
        if (!troubled && !signal.aborted) {
          log("warn", `${waiting.length} things wait to be told: ${(error as Error).message}`);
        }
        troubled = true;
        await pause(RESUME_MS, signal);
      }
    }
    giveUp(waiting.splice(0), "the hub stops");
  })();

  return {
    get waits() {
      return waiting.length > 0;
    },
    tell(event) {
      if (waiting.length === TOLD_WAITING_MAX) giveUp(waiting.splice(0, 1), "too many wait for the hub's server");
      const tried = Promise.withResolvers<void>();
      const stored = Promise.withResolvers<boolean>();
      const id = `${HUB_AUTHOR}.${crypto.randomUUID()}`;
      const one = { event, id, tried: tried.resolve, ended: stored.resolve };
      if (signal.aborted) giveUp([one], "the hub has stopped");
      else waiting.push(one);
      if (!bus.up) tried.resolve();
      wake();
      return { tried: tried.promise, stored: stored.promise };
    },
    async [Symbol.asyncDispose]() {
      if (bus.up && waiting.length > 0) {
        await Promise.race([new Promise<void>((resolve) => idle = resolve), pause(LAST_MS, signal)]);
      }
      stop.abort();
      wake();
      await telling;
    },
  };
}

/** An alert is in a stream of its own, too. */
function reportsOf(event: ToldEvent): { readonly subject: string; readonly value: unknown }[] {
  const asEvent = { subject: upEvent(HUB_AUTHOR, event.type), value: event };
  if (event.type !== "alert") return [asEvent];
  const { type: _, ...alert } = event;
  return [{ subject: upAlert(HUB_AUTHOR, event.severity), value: alert }, asEvent];
}
