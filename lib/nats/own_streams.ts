/**
 * The streams of a leaf node's own server. `OUT` holds what the hub is to get; those that people read derive from it under the
 * names that they have at the hub, so that whoever reads them needs not know which of the two it is.
 */
import {
  DiscardPolicy,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StoredMsg,
  type StreamConfig,
} from "@nats-io/jetstream";
import { OUT_BYTES } from "../protocol/limits.ts";
import { derivations, OUT_ANY } from "../protocol/subjects.ts";
import { XtaskError } from "../protocol/error.ts";
import type { Bus } from "./bus.ts";
import { natsError } from "./connect.ts";
import { ensure, type Manager, STREAM } from "./streams.ts";

const OUT = "OUT";
const MIB = 1024 ** 2;
const DAY_NS = 24 * 60 * 60 * 1e9;
/** A batch adds some headers to a message, which must still fit into what the hub takes. */
const MESSAGE_BYTES_MAX = MIB - 4 * 1024;
/** Of this alone a store tells itself from one that was wiped. */
const STORE_KEY = "xtask_store";

/** What a node keeps for its own eyes. Metrics go past its store: see agent/metrics.ts. */
const KEPT = {
  results: { days: 30, bytes: 256 * MIB },
  logs: { days: 7, bytes: 1024 * MIB },
  events: { days: 30, bytes: 128 * MIB },
  alerts: { days: 30, bytes: 64 * MIB },
} as const;

/** A message of `OUT`. */
export interface OutMessage {
  readonly sequence: number;
  readonly subject: string;
  /** Without those that a server made of it. */
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array<ArrayBuffer>;
  /** What the report was sent under: the same for a repeat. */
  readonly id: string | undefined;
}

/** What `OUT` holds. */
export interface OutState {
  readonly first: number;
  readonly last: number;
  readonly bytes: number;
}

/**
 * Makes the streams of this machine.
 *
 * @returns An id of the store: another one where it was made anew
 */
export async function ensureOwnStreams(bus: Bus, project: string): Promise<string> {
  return await converting(async () => {
    const manager = await jetstreamManager(bus.connection);
    const store = await storeOf(manager) ?? crypto.randomUUID().slice(0, 8);
    const out: Partial<StreamConfig> & { name: string } = {
      name: OUT,
      subjects: [OUT_ANY],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      max_bytes: OUT_BYTES,
      max_msg_size: MESSAGE_BYTES_MAX,
      // What does not fit is refused, and waits in the journal: nothing that was acknowledged goes.
      discard: DiscardPolicy.New,
      allow_direct: true,
      duplicate_window: 10 * 60 * 1e9,
      metadata: { [STORE_KEY]: store },
    };
    await ensure(manager, out);
    const all = derivations(project, "out");
    for (const [kind, { days, bytes }] of Object.entries(KEPT)) {
      const { transforms, republish } = all[kind as keyof typeof KEPT];
      await ensure(manager, {
        name: STREAM[kind as keyof typeof KEPT],
        storage: StorageType.File,
        max_age: days * DAY_NS,
        max_bytes: bytes,
        discard: DiscardPolicy.Old,
        allow_direct: true,
        sources: [{ name: OUT, subject_transforms: [...transforms] }],
        republish,
      });
    }
    return store;
  });
}

async function storeOf(manager: Manager): Promise<string | undefined> {
  const info = await manager.streams.info(OUT).catch((error) => {
    if (natsError(error).code === "not_found") return undefined;
    throw error;
  });
  return info?.config.metadata?.[STORE_KEY];
}

/** What `OUT` holds now. */
export async function outState(bus: Bus): Promise<OutState> {
  return await converting(async () => {
    const manager = await jetstreamManager(bus.connection, { checkAPI: false });
    const { first_seq, last_seq, bytes } = (await manager.streams.info(OUT)).state;
    // One that never held anything says 0.
    return { first: Math.max(1, first_seq), last: last_seq, bytes };
  });
}

/** Messages of `OUT` from a sequence on, in order; none where there are no more. */
export async function readOut(
  bus: Bus,
  { from, count, bytes }: { from: number; count: number; bytes: number },
): Promise<OutMessage[]> {
  try {
    const manager = await jetstreamManager(bus.connection, { checkAPI: false });
    return (await direct(manager, { seq: from, batch: count, max_bytes: bytes })).map(outMessage);
  } catch (error) {
    const converted = natsError(error);
    if (converted.code === "not_found") return [];
    throw converted;
  }
}

/** By its callback: where it is iterated, the library keeps the subscription of every call. */
async function direct(manager: Manager, wanted: { seq: number; batch: number; max_bytes: number }) {
  const found: StoredMsg[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  await manager.direct.getBatch(OUT, {
    ...wanted,
    callback(done, message) {
      if (done === null) found.push(message);
      else if (done.err) reject(done.err);
      else resolve();
    },
  });
  await promise;
  return found;
}

function outMessage({ seq, subject, header, data }: StoredMsg): OutMessage {
  // The server's own are about this store.
  const told = header.keys().filter((key) => !key.startsWith("Nats-")).map((key) => [key, header.get(key)]);
  return {
    sequence: seq,
    subject,
    headers: Object.fromEntries(told),
    payload: data as Uint8Array<ArrayBuffer>,
    id: header.get("Nats-Msg-Id") || undefined,
  };
}

/** Forgets what of `OUT` is older than a sequence. */
export async function purgeOut(bus: Bus, before: number): Promise<void> {
  await converting(async () => {
    const manager = await jetstreamManager(bus.connection, { checkAPI: false });
    const { success } = await manager.streams.purge(OUT, { seq: before });
    if (!success) throw new XtaskError("internal", "The node's own store did not let go of what was forwarded");
  });
}

async function converting<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw error instanceof XtaskError ? error : natsError(error);
  }
}
