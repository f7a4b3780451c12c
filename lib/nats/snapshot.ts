/** Streams as files: what a server writes of one, and a server that takes it back. */
import { jetstreamManager } from "@nats-io/jetstream";
import * as v from "valibot";
import { XtaskError } from "../protocol/error.ts";
import { parseJson } from "../protocol/parse.ts";
import { restoreSubject, snapshotSubject } from "../protocol/subjects.ts";
import type { Bus } from "./bus.ts";
import { natsError } from "./connect.ts";
import { sourceSequence } from "./streams.ts";

/** What a server needs to know of a stream to take it back: its configuration and state, as the server wrote them. */
export const StreamBackup = v.object({
  config: v.looseObject({ name: v.string(), sources: v.optional(v.array(v.looseObject({ name: v.string() }))) }),
  state: v.looseObject({
    messages: v.number(),
    bytes: v.number(),
    last_seq: v.number(),
    last_ts: v.optional(v.string()),
  }),
});
/** What a server needs to know of a stream to take it back. */
export type StreamBackup = v.InferOutput<typeof StreamBackup>;

const ApiError = v.object({ code: v.number(), description: v.optional(v.string()) });
const SnapshotAnswer = v.object({ error: v.optional(ApiError), ...v.partial(StreamBackup).entries });
const RestoreAnswer = v.object({ error: v.optional(ApiError), deliver_subject: v.optional(v.string()) });

const CHUNK_BYTES = 128 * 1024;
/** A server sends the next chunk within moments. */
const SILENCE_MS = 30_000;

/** The streams of a project, buckets included. */
export async function streamNames(bus: Bus): Promise<string[]> {
  try {
    const names: string[] = [];
    for await (const name of (await jetstreamManager(bus.connection)).streams.names()) names.push(name);
    return names.sort();
  } catch (error) {
    throw natsError(error);
  }
}

/**
 * Writes a stream as it is at this moment; the chunks go to `write`, one after the other.
 *
 * @throws {XtaskError} `unavailable` where the server does not go on, `internal` with what it says
 */
export async function snapshot(
  bus: Bus,
  stream: string,
  write: (chunk: Uint8Array) => Promise<unknown>,
): Promise<StreamBackup> {
  const { connection } = bus;
  const inbox = `_INBOX.${crypto.randomUUID()}`;
  const chunks = connection.subscribe(inbox);
  try {
    const request = { deliver_subject: inbox, no_consumers: true, chunk_size: CHUNK_BYTES };
    const answer = await asked(bus, snapshotSubject(stream), JSON.stringify(request), SnapshotAnswer);
    for await (const message of within(chunks, SILENCE_MS)) {
      if (message.data.length === 0) return v.parse(StreamBackup, answer);
      await write(message.data);
      // The server goes on when somebody says that it may.
      message.respond();
    }
    throw new XtaskError("unavailable", `The server stopped in the middle of ${stream}`);
  } finally {
    chunks.unsubscribe();
  }
}

/**
 * Has a server take a stream back that it does not have. One that derives from another goes on behind the last message that it
 * derived: what the other one took until it was written itself is still to come.
 *
 * @throws {XtaskError} `internal` with what the server says, such as that it has the stream already
 */
export async function restore(
  bus: Bus,
  { config, state }: StreamBackup,
  chunks: AsyncIterable<Uint8Array>,
): Promise<void> {
  // What it has derived says where it goes on, and is there to be asked only then.
  const { sources, ...alone } = config;
  const request = JSON.stringify({ config: alone, state });
  const { deliver_subject: to } = await asked(bus, restoreSubject(config.name), request, RestoreAnswer);
  if (to === undefined) throw new XtaskError("internal", `The server does not say where ${config.name} goes`);
  for await (const chunk of chunks) {
    for (let at = 0; at < chunk.length; at += CHUNK_BYTES) {
      const answer = await bus.connection.request(to, chunk.subarray(at, at + CHUNK_BYTES), { timeout: SILENCE_MS });
      if (answer.data.length > 0) parsed(RestoreAnswer, answer.string(), config.name);
    }
  }
  const done = await bus.connection.request(to, new Uint8Array(), { timeout: SILENCE_MS });
  parsed(RestoreAnswer, done.string(), config.name);
  if (sources !== undefined) await derive(bus, config.name, sources);
}

/**
 * Has a stream that was taken back derive from its source again. That is another stream to the server by now, from which it
 * would derive from the beginning.
 */
async function derive(bus: Bus, stream: string, sources: readonly { readonly name: string }[]): Promise<void> {
  try {
    const { streams } = await jetstreamManager(bus.connection);
    const last = await streams.getMessage(stream, { last_by_subj: ">" }).catch((error) => {
      if (natsError(error).code !== "not_found") throw error;
      return null;
    });
    const sequence = sourceSequence({ header: (name) => last?.header.get(name) });
    await streams.update(stream, {
      subjects: [],
      sources: sources.map((source) => ({ ...source, opt_start_seq: sequence + 1 })),
    });
  } catch (error) {
    throw natsError(error);
  }
}

async function asked<T extends { error?: v.InferOutput<typeof ApiError> | undefined }>(
  bus: Bus,
  subject: string,
  payload: string,
  schema: v.GenericSchema<unknown, T>,
): Promise<T> {
  try {
    return parsed(schema, (await bus.connection.request(subject, payload, { timeout: SILENCE_MS })).string(), subject);
  } catch (error) {
    throw natsError(error);
  }
}

function parsed<T extends { error?: v.InferOutput<typeof ApiError> | undefined }>(
  schema: v.GenericSchema<unknown, T>,
  text: string,
  what: string,
): T {
  const answer = parseJson(schema, text, `the server's answer about ${what}`);
  if (answer.error === undefined) return answer;
  throw new XtaskError("internal", `${what}: ${answer.error.description ?? `error ${answer.error.code}`}`);
}

/** Ends where nothing comes for too long. */
async function* within<T>(messages: AsyncIterable<T>, silenceMs: number): AsyncIterable<T> {
  const iterator = messages[Symbol.asyncIterator]();
  for (;;) {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<{ done: true; value: undefined }>((resolve) => {
      timer = setTimeout(resolve, silenceMs, { done: true, value: undefined });
    });
    const next = await Promise.race([iterator.next(), late]).finally(() => clearTimeout(timer));
    if (next.done) return;
    yield next.value;
  }
}
