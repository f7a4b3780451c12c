/** A bucket: the newest value of each key, kept by the hub. */
import { type KV, Kvm } from "@nats-io/kv";
import { XtaskError } from "../protocol/error.ts";
import { parseJson, type Schema } from "../protocol/parse.ts";
import type { Bus } from "./bus.ts";
import { natsError } from "./connect.ts";

/** The buckets of a project. */
export const BUCKET = {
  nodes: "xtask_nodes",
  commands: "xtask_commands",
  invites: "xtask_invites",
  alerts: "xtask_alerts",
  queue: "xtask_queue",
} as const;

/** Options of {@linkcode openBucket}. */
export interface BucketOptions<T> {
  readonly name: string;
  readonly schema: Schema<T>;
  /** Values older than this are gone. For ever by default. */
  readonly ttlMs?: number;
  readonly maxBytes?: number;
  readonly replicas?: number;
}

/** A bucket of values of one schema. */
export interface Bucket<T> {
  get(key: string): Promise<T | undefined>;
  put(key: string, value: T): Promise<void>;
  delete(key: string): Promise<void>;
  /** @throws {XtaskError} `conflict` where the key has a value already */
  create(key: string, value: T): Promise<void>;
  /** All values there are now. One that its schema refuses is left out: it is of another version, and can be rebuilt. */
  entries(): Promise<Map<string, T>>;
}

/** Opens a bucket; makes it where it is missing. */
export async function openBucket<T>(bus: Bus, options: BucketOptions<T>): Promise<Bucket<T>> {
  const { name, schema, ttlMs, maxBytes, replicas = 1 } = options;
  const bucket = await converting(() =>
    new Kvm(bus.connection).create(name, {
      history: 1,
      replicas,
      allow_direct: true,
      ...(ttlMs === undefined ? {} : { ttl: ttlMs }),
      ...(maxBytes === undefined ? {} : { max_bytes: maxBytes }),
    })
  );
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
    entries: () => converting(() => entriesOf(bucket, schema)),
  };
}

async function entriesOf<T>(bucket: KV, schema: Schema<T>): Promise<Map<string, T>> {
  const found = new Map<string, T>();
  const { values } = await bucket.status();
  if (values === 0) return found;
  const watch = await bucket.watch({ ignoreDeletes: true });
  for await (const entry of watch) {
    try {
      found.set(entry.key, parseJson(schema, entry.string(), "value"));
    } catch (error) {
      if (!(error instanceof XtaskError)) throw error;
    }
    if (entry.delta === 0) break;
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
