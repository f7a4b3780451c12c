/** The hub's streams and buckets, and reading from them. */
import {
  type Consumer,
  type ConsumerMessages,
  DeliverPolicy,
  type DirectMsgRequest,
  DiscardPolicy,
  jetstream,
  jetstreamManager,
  type JsMsg,
  RetentionPolicy,
  StorageType,
  type StoredMsg,
  type StreamConfig,
} from "@nats-io/jetstream";
import { pause } from "../os/pause.ts";
import { HERE_MS, NOTE_BYTES_MAX, NOTES_KEPT_MAX, PRESENCE_MS } from "../protocol/limits.ts";
import { derivations, HEARTBEAT_ANY, HEARTBEATS, hereOf, notesOf, UP_ANY } from "../protocol/subjects.ts";
import { XtaskError } from "../protocol/error.ts";
import type { Bus } from "./bus.ts";
import { natsError } from "./connect.ts";

/** The streams that people read. */
export const STREAM = {
  up: "XTASK_UP",
  results: "XTASK_RESULTS",
  logs: "XTASK_LOGS",
  events: "XTASK_EVENTS",
  alerts: "XTASK_ALERTS",
  metrics: "XTASK_METRICS",
  presence: "XTASK_PRESENCE",
  notes: "XTASK_NOTES",
  here: "XTASK_HERE",
  /** What the bucket of alerts is made of. */
  alertRecords: "KV_xtask_alerts",
} as const;

const DAY_NS = 24 * 60 * 60 * 1e9;
const GIB = 1024 ** 3;

/** Bounds of each public stream. */
const KEPT = {
  results: { days: 90, bytes: 4 * GIB },
  logs: { days: 7, bytes: 16 * GIB },
  events: { days: 30, bytes: 2 * GIB },
  alerts: { days: 90, bytes: GIB / 4 },
  // Some 6 MiB for each node and day: 20 nodes for all of it, 100 for a week.
  metrics: { days: 30, bytes: 4 * GIB },
} as const;

/** Options of {@linkcode ensureStreams}. */
export interface StreamsOptions {
  readonly project: string;
  /** Copies of each stream in a cluster. @default {1} */
  readonly replicas?: number;
  /** @default {15000} */
  readonly presenceMs?: number;
}

/** Makes the streams that are missing and brings the others to what this version expects. */
export async function ensureStreams(
  bus: Bus,
  { project, replicas = 1, presenceMs = PRESENCE_MS }: StreamsOptions,
): Promise<void> {
  const manager = await jetstreamManager(bus.connection);
  const common = { num_replicas: replicas, allow_direct: true, discard: DiscardPolicy.Old };
  const up: Partial<StreamConfig> & { name: string } = {
    ...common,
    name: STREAM.up,
    subjects: [UP_ANY],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    // The public streams derive from it within moments; a day covers any trouble with that.
    max_age: DAY_NS,
    max_bytes: 4 * GIB,
    // A node that was cut off sends again what it got no acknowledgement for.
    duplicate_window: 10 * 60 * 1e9,
    allow_atomic: true,
  };
  const presence: Partial<StreamConfig> & { name: string } = {
    ...common,
    name: STREAM.presence,
    subjects: [HEARTBEAT_ANY],
    storage: StorageType.Memory,
    max_msgs_per_subject: 1,
    max_age: presenceMs * 1e6,
    max_bytes: GIB / 32,
    duplicate_window: Math.min(presenceMs, 1_000) * 1e6,
    allow_msg_ttl: true,
    allow_rollup_hdrs: true,
    // When a heartbeat expires the server says so with a message of its own: that is how a lost node is noticed.
    subject_delete_marker_ttl: 5e9,
    republish: { src: HEARTBEAT_ANY, dest: HEARTBEATS },
  };
  const derived = Object.entries(derivations(project)).map(([kind, { transforms, republish }]) => ({
    ...common,
    name: STREAM[kind as keyof typeof KEPT],
    storage: StorageType.File,
    max_age: KEPT[kind as keyof typeof KEPT].days * DAY_NS,
    max_bytes: KEPT[kind as keyof typeof KEPT].bytes,
    sources: [{ name: STREAM.up, subject_transforms: [...transforms] }],
    republish,
  }));
  const notes: Partial<StreamConfig> & { name: string } = {
    ...common,
    name: STREAM.notes,
    subjects: [notesOf(project)],
    storage: StorageType.File,
    max_age: 30 * DAY_NS,
    max_bytes: GIB / 16,
    // One who talks without end pushes out what they said themselves first.
    max_msgs_per_subject: NOTES_KEPT_MAX,
    max_msg_size: 2 * NOTE_BYTES_MAX,
  };
  const here: Partial<StreamConfig> & { name: string } = {
    ...common,
    name: STREAM.here,
    subjects: [hereOf(project)],
    storage: StorageType.Memory,
    max_msgs_per_subject: 1,
    max_age: HERE_MS * 1e6,
    max_bytes: GIB / 64,
    max_msg_size: 2 * NOTE_BYTES_MAX,
    duplicate_window: 1e9,
  };
  try {
    // The others derive from it; each alone waits for the disk some ten times.
    await ensure(manager, up);
    await Promise.all([presence, ...derived, notes, here].map((config) => ensure(manager, config)));
  } catch (error) {
    throw natsError(error);
  }
}

/** The library's way to manage streams. */
export type Manager = Awaited<ReturnType<typeof jetstreamManager>>;

/** Makes a stream, or brings it to what is wanted. */
export async function ensure(manager: Manager, config: Partial<StreamConfig> & { name: string }): Promise<void> {
  const there = await manager.streams.info(config.name).then(({ config }) => config, (error) => {
    if (natsError(error).code === "not_found") return undefined;
    throw error;
  });
  if (there === undefined) return void await manager.streams.add(config);
  const wanted = { ...config, ...startsOf(config, there) };
  // In a cluster a change has to be agreed on, which takes its time.
  if (!holds(there, wanted)) await manager.streams.update(config.name, wanted);
}

/** Whether a server's answer has all that is wanted: what it adds, and leaves out as empty, makes no difference. */
function holds(there: unknown, wanted: unknown): boolean {
  if (typeof wanted !== "object" || wanted === null) return there === wanted || !wanted && there === undefined;
  return typeof there === "object" && there !== null &&
    Object.entries(wanted).every(([key, value]) => holds((there as Record<string, unknown>)[key], value)) &&
    (!Array.isArray(wanted) || wanted.length === (there as unknown[]).length);
}

/** Where a stream that was restored goes on deriving: it has all before. */
function startsOf({ sources }: Partial<StreamConfig>, there: StreamConfig): Partial<StreamConfig> {
  if (sources === undefined) return {};
  const start = (name: string) => there.sources?.find((source) => source.name === name)?.opt_start_seq;
  return { sources: sources.map((source) => ({ ...source, opt_start_seq: start(source.name) ?? 0 })) };
}

/** Where to begin reading a stream. */
export type From = { readonly sequence: number } | { readonly time: Date } | "first" | "last-each" | "new";

/** A message of a stream. */
export interface StreamMessage {
  readonly subject: string;
  readonly sequence: number;
  readonly time: Date;
  readonly data: Uint8Array<ArrayBuffer>;
  /** How many more match right now. */
  readonly pending: number;
  header(name: string): string | undefined;
}

/** The sequence that a message has in the stream that this one derives from, by `XTASK_UP 17 …`; 0 where it does not. */
export function sourceSequence({ header }: Pick<StreamMessage, "header">): number {
  return Number(header("Nats-Stream-Source")?.split(" ")[1] ?? 0);
}

/** Options of {@linkcode readStream}. */
export interface ReadOptions {
  readonly subjects: readonly string[];
  readonly from: From;
  /** Goes on with what comes; else ends with what is there now. @default {false} */
  readonly follow?: boolean;
  readonly signal?: AbortSignal;
}

/** Reading that broke off rests this long before it begins anew. */
const AGAIN_MS = 100;

/**
 * The messages of a stream, in order and without gaps: after a lost connection reading goes on where it stood.
 *
 * @throws {XtaskError} `unavailable`, `forbidden`
 */
export async function* readStream(bus: Bus, stream: string, options: ReadOptions): AsyncIterable<StreamMessage> {
  const { follow = false, signal } = options;
  let { from } = options;
  for (;;) {
    if (signal?.aborted) return;
    const reading = await beginReading(bus, stream, { ...options, from });
    if (reading === undefined) return;
    const { consumer, messages } = reading;
    if (from === "new") from = { sequence: reading.delivered + 1 };
    const stop = () => messages.stop();
    signal?.addEventListener("abort", stop, { once: true });
    if (signal?.aborted) stop();
    const read = new AbortController();
    // What was to come, and went meanwhile, never comes: a server that says nothing else has nothing more.
    if (!follow) void untilIdle(messages).then(stop);
    let lost = false;
    const lose = () => {
      lost = true;
      stop();
    };
    void (async () => {
      for await (const _down of bus.changes(read.signal)) return lose();
    })();
    void (async () => {
      // Servers of a cluster learn of a new consumer one after the other: the one that was asked may not know of it yet.
      for await (const { type } of messages.status()) if (type === "no_responders") return lose();
    })();
    try {
      for await (const message of messages) {
        from = { sequence: message.seq + 1 };
        yield streamMessage(message);
        if (!follow && message.info.pending === 0) return;
      }
    } catch (error) {
      throw natsError(error);
    } finally {
      read.abort();
      signal?.removeEventListener("abort", stop);
      await messages.close();
      // The server would keep it for a minute, and allows a stream only so many. With the link down it has to.
      const deleted = consumer.delete().catch(() => {});
      if (!lost) await deleted;
    }
    if (!lost) return;
    // The library takes up a consumer of its own again, but may then wait for what nobody was asked for, until heartbeats fail.
    await pause(AGAIN_MS, signal);
    await bus.whenUp(signal ?? new AbortController().signal).catch((error) => {
      if (!signal?.aborted) throw error;
    });
  }
}

/** Resolves when the server has said that it is there and has nothing to deliver, or reading has ended. */
async function untilIdle(messages: ConsumerMessages): Promise<void> {
  for await (const { type } of messages.status()) if (type === "heartbeat") return;
}

/** A consumer and what it delivers; undefined where only what is there is wanted, and nothing is. */
async function beginReading(
  bus: Bus,
  stream: string,
  { subjects, from, follow = false }: ReadOptions,
): Promise<{ consumer: Consumer; messages: ConsumerMessages; delivered: number } | undefined> {
  try {
    const consumer = await jetstream(bus.connection).consumers.get(stream, {
      filter_subjects: [...subjects],
      ...deliver(from),
      inactive_threshold: 60e9,
    });
    const { num_pending, delivered } = await consumer.info(true);
    if (!follow && num_pending === 0) {
      await consumer.delete();
      return undefined;
    }
    // Where two are missing the library begins anew: the server that had the consumer may have died, and ours did not.
    const messages = await consumer.consume({ max_messages: 500, idle_heartbeat: follow ? 1_000 : 5_000 });
    return { consumer, messages, delivered: delivered.stream_seq };
  } catch (error) {
    throw natsError(error);
  }
}

function deliver(from: From) {
  if (from === "first") return { deliver_policy: DeliverPolicy.All };
  if (from === "new") return { deliver_policy: DeliverPolicy.New };
  if (from === "last-each") return { deliver_policy: DeliverPolicy.LastPerSubject };
  if ("sequence" in from) {
    return { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: Math.max(1, from.sequence) };
  }
  return { deliver_policy: DeliverPolicy.StartTime, opt_start_time: from.time.toISOString() };
}

function streamMessage(message: JsMsg): StreamMessage {
  return {
    subject: message.subject,
    sequence: message.seq,
    time: new Date(message.info.timestampNanos / 1e6),
    data: message.data as Uint8Array<ArrayBuffer>,
    pending: message.info.pending,
    header: (name) => message.headers?.has(name) ? message.headers.get(name) : undefined,
  };
}

/** A stored message, with when the server took it. */
export interface Stamped {
  readonly text: string;
  readonly sequence: number;
  readonly time: Date;
}

/** The newest message of a subject, or undefined. */
export async function lastOf(bus: Bus, stream: string, subject: string): Promise<Stamped | undefined> {
  // Not by direct get, which people may use on no stream that others can write what they like into: see ROLE_SUBJECTS.
  return await found(bus, ({ streams }) => streams.getMessage(stream, { last_by_subj: subject }));
}

/** The first message of a subject that the server took at this time or later, or undefined. */
export async function nextFrom(bus: Bus, stream: string, subject: string, time: Date): Promise<Stamped | undefined> {
  const wanted: DirectMsgRequest = { next_by_subj: subject, start_time: time };
  return await found(bus, ({ direct }) => direct.getMessage(stream, wanted));
}

async function found(bus: Bus, look: (manager: Manager) => Promise<StoredMsg | null>): Promise<Stamped | undefined> {
  try {
    const message = await look(await jetstreamManager(bus.connection, { checkAPI: false }));
    return message === null ? undefined : { text: message.string(), sequence: message.seq, time: message.time };
  } catch (error) {
    const converted = natsError(error);
    if (converted.code === "not_found") return undefined;
    throw converted;
  }
}

/** The first message of a subject with this sequence or a later one, or undefined. */
export async function nextMessage(
  bus: Bus,
  stream: string,
  subject: string,
  sequence: number,
): Promise<StreamMessage | undefined> {
  try {
    const manager = await jetstreamManager(bus.connection, { checkAPI: false });
    // Not by direct get, as in lastOf. The server knows this question too; the library's type does not.
    const wanted = { seq: sequence, next_by_subj: subject } as Parameters<Manager["streams"]["getMessage"]>[1];
    const message = await manager.streams.getMessage(stream, wanted);
    if (message === null) return undefined;
    return {
      subject: message.subject,
      sequence: message.seq,
      time: message.time,
      data: message.data as Uint8Array<ArrayBuffer>,
      pending: 0,
      header: (name) => message.header.has(name) ? message.header.get(name) : undefined,
    };
  } catch (error) {
    const converted = natsError(error);
    if (converted.code === "not_found") return undefined;
    throw converted;
  }
}

/** @throws {XtaskError} `unavailable` where the server has no JetStream for this account */
export async function assertJetStream(bus: Bus): Promise<void> {
  try {
    await jetstreamManager(bus.connection);
  } catch (cause) {
    throw new XtaskError("unavailable", "The NATS server offers no JetStream to this account", { cause });
  }
}

/** The sequence of the newest message of a stream; 0 where there is none. */
export async function lastSequence(bus: Bus, stream: string): Promise<number> {
  try {
    const manager = await jetstreamManager(bus.connection, { checkAPI: false });
    return (await manager.streams.info(stream)).state.last_seq;
  } catch (error) {
    throw natsError(error);
  }
}
