/**
 * The node's way to its hub. A client is connected to the hub's server. A leaf node is connected to a server of its own, which
 * is linked with the hub's: reports go into its store, and from there to the hub when there is a link.
 */
import type { Bus } from "../nats/bus.ts";
import { ensureOwnStreams, outState, readOut } from "../nats/own_streams.ts";
import { publishStored } from "../nats/uplink.ts";
import { LOG_SPOOL_BYTES } from "../protocol/limits.ts";
import { hubSubject, outOf } from "../protocol/subjects.ts";
import { Forwarder } from "./forwarder.ts";
import type { JournalPort, Report } from "./journal.ts";
import type { Uplink } from "./outbox.ts";

/** The way to the hub. */
export interface HubLink extends Uplink, AsyncDisposable {
  /** Of reports that have left the journal and not come to the hub. */
  readonly backlogBytes: number;
  /** Resolves when the hub has all that has left the journal, or the signal fires. */
  handedOver(signal: AbortSignal): Promise<void>;
  /** Hears that the hub answers again. */
  isBack(): void;
  /** The way to the hub and back, in ms; rejects where there is no answer. */
  measure(): Promise<number>;
}

/** Options of {@linkcode openLeafLink}. */
export interface LeafLinkOptions {
  /** A connection to the node's own server. */
  readonly bus: Bus;
  readonly node: string;
  readonly project: string;
  readonly journal: JournalPort;
  readonly onContact: () => void;
  readonly onTrouble: (error: unknown) => void;
}

/** The hub answers within this, or the link is taken for dead. */
const ASK_MS = 4_000;
/** The outbox has fewer reports than this on their way at once: those alone can be repeats. */
const REPEATS_MAX = 128;

/** More than this waits only while nothing is taken. */
const SLOW_BYTES = LOG_SPOOL_BYTES / 2;

/** The way of a client: what left the journal is at the hub. */
export function clientLink(bus: Bus): HubLink {
  return {
    get up() {
      return bus.up;
    },
    whenUp: (signal) => bus.whenUp(signal),
    send: (report, id, signal) => publishStored(bus, report, { id, signal }),
    backlogBytes: 0,
    handedOver: () => Promise.resolve(),
    isBack: () => {},
    measure: () => bus.up ? bus.rttMs() : Promise.reject(new Error("there is no connection")),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}

/** The way of a leaf node. */
export async function openLeafLink(options: LeafLinkOptions): Promise<HubLink> {
  const { bus, node, project, journal } = options;
  const store = await ensureOwnStreams(bus, project);
  const forwarder = await Forwarder.start({ ...options, node, store, journal });
  const stop = new AbortController();
  let stored: Promise<ReadonlySet<string>> | undefined;
  void (async () => {
    // What was on its way when the server went may be stored or not, and nobody was told.
    for await (const _change of bus.changes(stop.signal)) stored = undefined;
  })();
  return {
    get up() {
      return bus.up;
    },
    // The store is full of what the hub must get: then output gives way.
    get full() {
      return forwarder.backlogBytes > LOG_SPOOL_BYTES;
    },
    whenUp: (signal) => bus.whenUp(signal),
    async send(report: Report, id, signal) {
      // A hub that takes less than is made slows the runs down, as it does those of a client.
      await forwarder.room(SLOW_BYTES, signal);
      stored ??= idsInStore(bus);
      stored.catch(() => stored = undefined);
      if ((await stored).has(id)) return;
      const sequence = await publishStored(bus, { ...report, subject: outOf(report.subject) }, { id, signal });
      forwarder.added(sequence, report.payload.length);
    },
    get backlogBytes() {
      return forwarder.backlogBytes;
    },
    handedOver: (signal) => forwarder.flushed(signal),
    isBack: () => forwarder.linkIsBack(),
    async measure() {
      const begun = performance.now();
      await bus.request(hubSubject("health", "check"), "", { timeoutMs: ASK_MS });
      return performance.now() - begun;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await forwarder[Symbol.asyncDispose]();
    },
  };
}

/** Ids of the newest reports in the store. The server itself forgets them after some minutes. */
async function idsInStore(bus: Bus): Promise<ReadonlySet<string>> {
  const { first, last } = await outState(bus);
  const from = Math.max(first, last - REPEATS_MAX + 1, 1);
  const messages = await readOut(bus, { from, count: REPEATS_MAX, bytes: Number.MAX_SAFE_INTEGER });
  return new Set(messages.flatMap(({ id }) => id === undefined ? [] : [id]));
}
