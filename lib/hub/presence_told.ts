/**
 * Nodes' comings and goings, on their way into the stream: in order, each until it is stored. They happen just when links
 * and servers go down, so what cannot be stored waits until the hub's server is back.
 */
import type { Bus } from "../nats/bus.ts";
import { publishStored } from "../nats/uplink.ts";
import { pause } from "../os/pause.ts";
import type { Event } from "../protocol/event.ts";
import { HUB_AUTHOR } from "../protocol/id.ts";
import { PRESENCE_WAITING_MAX } from "../protocol/limits.ts";
import { upEvent } from "../protocol/subjects.ts";

/** A node that came or went. */
export type PresenceEvent = Extract<Event, { type: "node_joined" | "node_left" }>;

/** Tells of nodes. Disposing it gives what waits a moment still, unless the server is away. */
export interface PresenceTeller extends AsyncDisposable {
  /** Tells of it, now or later. Resolves when the stream has it, or it has to wait. */
  tell(event: PresenceEvent): Promise<void>;
  /** Whether the stream does not have all of it yet. */
  readonly waits: boolean;
}

interface Waiting {
  readonly event: PresenceEvent;
  /** The stream takes an id once, however often it is sent. */
  readonly id: string;
  readonly tried: () => void;
}

/** On their way at once. The stream stores them in this order, since they travel on one connection. */
const IN_FLIGHT_MAX = 64;
const RESUME_MS = 500;
const LAST_MS = 1_000;
/** Of those that are lost, named in a line. */
const SHOWN = 20;

/** Begins to tell. */
export function tellPresence(
  { bus, log }: { readonly bus: Bus; readonly log: (level: "warn" | "error", message: string) => void },
): PresenceTeller {
  const stop = new AbortController();
  const { signal } = stop;
  let waiting: Waiting[] = [];
  let wake = () => {};
  let idle = () => {};

  const giveUp = (some: readonly Waiting[], why: string) => {
    if (some.length === 0) return;
    const what = some.map(({ event: { type, node } }) => `${type} of ${node}`);
    log("error", `${what.slice(0, SHOWN).join(", ")}${what.length > SHOWN ? " and more" : ""}: lost, as ${why}`);
    for (const { tried } of some) tried();
  };
  const store = ({ event, id }: Waiting) => {
    const payload = new TextEncoder().encode(JSON.stringify(event));
    return publishStored(bus, { subject: upEvent(HUB_AUTHOR, event.type), headers: {}, payload }, { id, signal });
  };
  const storeSome = async () => {
    const batch = waiting.slice(0, IN_FLIGHT_MAX);
    const outcomes = await Promise.allSettled(batch.map(store));
    const failed = outcomes.findIndex(({ status }) => status === "rejected");
    // What came behind one that failed is sent again with it, and found by its id where it is stored already.
    const stored = new Set(failed < 0 ? batch : batch.slice(0, failed));
    waiting = waiting.filter((one) => !stored.has(one));
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
        await bus.whenUp(signal);
        await storeSome();
        troubled = false;
      } catch (error) {
        if (!troubled && !signal.aborted) {
          log("warn", `${waiting.length} comings and goings of nodes wait: ${(error as Error).message}`);
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
      if (waiting.length === PRESENCE_WAITING_MAX) giveUp(waiting.splice(0, 1), "too many wait for the hub's server");
      const { promise, resolve: tried } = Promise.withResolvers<void>();
      const one = { event, id: `${HUB_AUTHOR}.${crypto.randomUUID()}`, tried };
      if (signal.aborted) giveUp([one], "the hub has stopped");
      else waiting.push(one);
      if (!bus.up) tried();
      wake();
      return promise;
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
