/** A bucket: the newest value of each key, kept by the hub. */
import { DiscardPolicy, jetstream, jetstreamManager, RetentionPolicy, StorageType } from "@nats-io/jetstream";
import { headers as createHeaders } from "@nats-io/nats-core";
import { type KV, Kvm } from "@nats-io/kv";
import { XtaskError } from "../protocol/error.ts";
import { parseJson, type Schema } from "../protocol/parse.ts";
import { bucketSubject, bucketSubjects } from "../protocol/subjects.ts";
import type { Bus } from "./bus.ts";
import { natsError } from "./connect.ts";
import { ensure } from "./streams.ts";

/** The buckets of a project. */
export const BUCKET = {
  nodes: "xtask_nodes",
  commands: "xtask_commands",
  invites: "xtask_invites",
  alerts: "xtask_alerts",
  queue: "xtask_queue",
  moving: "xtask_moving",
  leader: "xtask_leader",
} as const;

/** Options of {@linkcode openBucket}. */
export interface BucketOptions<T> {
  readonly name: string;
  readonly schema: Schema<T>;
  /** Values older than this are gone. For ever by default. */
  readonly ttlMs?: number;
  readonly maxBytes: number;
  /** What gives way when it is full: the values that were written first, or the new one, which is refused. @default {"new"} */
  readonly full?: "old" | "new";
  /** Copies in a cluster. @default {1} */
  readonly replicas?: number;
}

/** A value, and its place in the order of all writes; without a value where the key was deleted. */
export interface Revised<T> {
  readonly value: T | undefined;
  readonly revision: number;
}

/** A bucket of values of one schema. */
export interface Bucket<T> {
  get(key: string): Promise<T | undefined>;
  put(key: string, value: T): Promise<void>;
  delete(key: string): Promise<void>;
  /** @throws {XtaskError} `conflict` where the key has a value already */
  create(key: string, value: T): Promise<void>;
  /** The value with its revision, 0 where the key never had one: asked of the server that takes the writes. */
  revised(key: string, timeoutMs: number): Promise<Revised<T>>;
  /**
   * Writes where nobody has written since a revision; 0 stands for a key that never had a value. Undefined deletes it.
   *
   * @returns The new revision
   * @throws {XtaskError} `conflict` where somebody has
   */
  swap(key: string, value: T | undefined, revision: number, timeoutMs: number): Promise<number>;
  /** All values there are now. One that its schema refuses is left out: it is of another version, and can be rebuilt. */
  entries(): Promise<Map<string, T>>;
}

const DUPLICATES_MS = 2 * 60_000;

/** Opens a bucket; makes it where it is missing, and brings it to what this version expects where it is there. */
export async function openBucket<T>(bus: Bus, options: BucketOptions<T>): Promise<Bucket<T>> {
  const { name, schema, ttlMs = 0, maxBytes, full = "new", replicas = 1 } = options;
  const stream = `KV_${name}`;
  const bucket = await converting(async () => {
    // Not by the library, which leaves a bucket of an earlier version as it is.
    await ensure(await jetstreamManager(bus.connection), {
      name: stream,
      subjects: [bucketSubjects(name)],
      storage: StorageType.File,
      retention: RetentionPolicy.Limits,
      num_replicas: replicas,
      max_msgs_per_subject: 1,
      max_age: ttlMs * 1e6,
      // Not longer than anything is kept, which the server refuses.
      duplicate_window: Math.min(ttlMs || DUPLICATES_MS, DUPLICATES_MS) * 1e6,
      max_bytes: maxBytes,
      discard: full === "old" ? DiscardPolicy.Old : DiscardPolicy.New,
      allow_direct: true,
      allow_rollup_hdrs: true,
    });
    return await new Kvm(bus.connection).open(name, { allow_direct: true });
  });
  return {
    async get(key) {
      const entry = await converting(() => bucket.get(key));
      return entry === null || entry.operation !== "PUT"
        ? undefined
        : parseJson(schema, entry.string(), `value of ${name}`);
    },
    put: async (key, value) => void await converting(() => bucket.put(key, JSON.stringify(value))),
    delete: async (key) => void await converting(() => bucket.purge(key)),
    create: async (key, value) => void await converting(() => bucket.create(key, JSON.stringify(value))),
    revised: (key, timeout) =>
      converting(async () => {
        const manager = await jetstreamManager(bus.connection, { checkAPI: false, timeout });
        const message = await manager.streams.getMessage(stream, { last_by_subj: bucketSubject(name, key) })
          .catch((error) => {
            if (natsError(error).code !== "not_found") throw error;
            return null;
          });
        if (message === null) return { value: undefined, revision: 0 };
        const deleted = message.header.has("KV-Operation");
        const value = deleted ? undefined : parseJson(schema, message.string(), `value of ${name}`);
        return { value, revision: message.seq };
      }),
    swap: (key, value, revision, timeout) =>
      converting(async () => {
        const headers = createHeaders();
        if (value === undefined) headers.set("KV-Operation", "DEL");
        // Not by the library, whose update knows no key without a value.
        const { seq } = await jetstream(bus.connection, { timeout }).publish(
          bucketSubject(name, key),
          value === undefined ? "" : JSON.stringify(value),
          { headers, timeout, expect: { lastSubjectSequence: revision } },
        );
        return seq;
      }),
    entries: () => converting(() => entriesOf(bucket, schema)),
  };
}

async function entriesOf<T>(bucket: KV, schema: Schema<T>): Promise<Map<string, T>> {
  const found = new Map<string, T>();
  // Of each key there is one value. A watch would not end where the last one is gone before it comes, or was deleted.
  for await (const entry of await bucket.history()) {
    if (entry.operation !== "PUT") continue;
    try {
      found.set(entry.key, parseJson(schema, entry.string(), "value"));
    } catch (error) {
      if (!(error instanceof XtaskError)) throw error;
    }
  }
  return found;
}

async function converting<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw natsError(error);
  }
}
