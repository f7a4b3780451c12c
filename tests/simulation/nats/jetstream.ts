/** JetStream: the streams of a server, what is stored in them, and what is asked about them. */
import type { Process, World } from "../world/world.ts";
import { Consumer, type ConsumerConfig } from "./consumer.ts";
import { matches, transform } from "./interest.ts";
import type { Router, Subscriber } from "./routing.ts";
import { type Draft, Refused, type Stored, Stream, type StreamConfig } from "./stream.ts";
import { decode, EMPTY, encode, headersOf, headOf, type Message } from "./wire.ts";

/** What a server has on its disk. */
export class Store {
  readonly streams = new Map<string, Stream>();
  /** Nothing more fits. */
  full = false;
  /** Hears of what is stored, and of what is taken away on request. */
  onStored: (stream: string, message: Stored) => void = () => {};
  onPurge: (stream: string, messages: readonly Stored[]) => void = () => {};
}

/** A batch that has begun. */
interface Batch {
  readonly drafts: Draft[];
  readonly expected: string | undefined;
}

type Ask = { readonly body: Record<string, unknown>; readonly words: readonly string[]; readonly reply: string };

const HOUR_NS = 3600e9;
const MESSAGE_TTL_MS = 5_000;

/** The streams of one server. */
export class JetStream {
  readonly #server: Router;
  readonly #world: World;
  readonly #process: Process;
  readonly #store: Store;
  readonly #consumers = new Map<string, Consumer>();
  readonly #batches = new Map<string, Batch>();
  readonly #subscribed = new Map<string, { readonly subject: string; readonly subscriber: Subscriber }[]>();
  #numbers = 0;

  constructor(server: Router, store: Store) {
    [this.#server, this.#world, this.#process, this.#store] = [server, server.world, server.process, store];
    for (const [name, stream] of store.streams) {
      // What is in memory alone went with the server before.
      if (stream.config.storage === "memory") store.streams.set(name, new Stream(stream.config));
      this.#listen(store.streams.get(name) as Stream);
    }
    server.onInterest.push((subject) => {
      for (const consumer of this.#consumers.values()) {
        const { deliver_subject: to } = consumer.config;
        if (to !== undefined && matches(subject, to)) consumer.deliver();
      }
    });
  }

  /** Answers what is asked about streams. */
  api({ subject, reply = "", data }: Message): void {
    const text = decode(data);
    const [, , first = "", second = "", ...words] = subject.split(".");
    const body = text === "" ? {} : JSON.parse(text) as Record<string, unknown>;
    const answer = ANSWERS[`${first}.${second}`] ?? ANSWERS[first];
    try {
      if (answer === undefined) throw new Error(`The simulated server is not asked ${subject}`);
      const said = answer.call(this, { body, words: answer === ANSWERS[first] ? [second, ...words] : words, reply });
      if (said !== undefined) this.#answer(reply, said);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.#answer(reply, errorOf(error));
    }
  }

  #answer(to: string, value: unknown): void {
    this.#server.deliver(to, { subject: to, data: encode(JSON.stringify(value)) });
  }

  find(name: string): Stream {
    const stream = this.#store.streams.get(name);
    if (stream === undefined) throw new Refused(404, 10059, "stream not found");
    return stream;
  }

  ensure(config: StreamConfig): unknown {
    const there = this.#store.streams.get(config.name);
    if (there === undefined) {
      const stream = new Stream(config);
      this.#store.streams.set(config.name, stream);
      this.#listen(stream);
      for (const { name } of config.sources ?? []) this.#catchUp(this.find(name));
    } else {
      there.config = config;
      this.#listen(there);
    }
    return this.info(config.name);
  }

  info(name: string): unknown {
    const { config, messages, bytes, first, last } = this.find(name);
    const state = { messages: messages.size, bytes, first_seq: first, last_seq: last, consumer_count: 0 };
    return { config, created: new Date(this.#world.wallNow).toISOString(), state };
  }

  purge(name: string, { seq, filter }: { seq?: number; filter?: string }): unknown {
    const stream = this.find(name);
    const gone: Stored[] = [];
    for (const stored of stream.from(1)) {
      if (seq !== undefined && stored.sequence >= seq) break;
      if (filter === undefined || matches(filter, stored.subject)) gone.push(stored);
    }
    for (const { sequence } of gone) stream.remove(sequence);
    this.#store.onPurge(name, gone);
    return { success: true, purged: gone.length };
  }

  consume(name: string, config: ConsumerConfig): unknown {
    const consumer = new Consumer(this.#server, this.find(name), config.name ?? `c${++this.#numbers}`, config);
    this.#consumers.set(`${name}.${consumer.name}`, consumer);
    return this.consumerInfo(name, consumer.name);
  }

  consumerInfo(stream: string, name: string): unknown {
    const consumer = this.#consumers.get(`${stream}.${name}`);
    if (consumer === undefined) throw new Refused(404, 10014, "consumer not found");
    const { config, pending, passed } = consumer;
    const delivered = { consumer_seq: 0, stream_seq: passed };
    return { stream_name: stream, name, config, num_pending: pending, delivered, ack_floor: delivered };
  }

  forget(stream: string, name: string): unknown {
    if (!this.#consumers.delete(`${stream}.${name}`)) throw new Refused(404, 10014, "consumer not found");
    return { success: true };
  }

  next(stream: string, name: string, reply: string, options: Record<string, number>): void {
    const consumer = this.#consumers.get(`${stream}.${name}`);
    if (consumer !== undefined) return consumer.pull(reply, options);
    this.#server.deliver(reply, { subject: reply, head: headOf({}, "503"), data: EMPTY });
  }

  /** Direct gets: one message, or several with a word at their end. */
  direct(name: string, reply: string, wanted: Record<string, unknown>, bySubject: string): void {
    const stream = this.find(name);
    const { seq = 1, batch, max_bytes = Infinity, next_by_subj, last_by_subj } = wanted as {
      readonly seq?: number;
      readonly batch?: number;
      readonly max_bytes?: number;
      readonly next_by_subj?: string;
      readonly last_by_subj?: string;
    };
    const status = (text: string, headers = {}) =>
      this.#server.deliver(reply, { subject: reply, head: headOf(headers, text), data: EMPTY });
    const found: Stored[] = [];
    const last = bySubject || last_by_subj;
    if (last !== undefined) {
      const stored = stream.lastOf(last);
      if (stored !== undefined) found.push(stored);
    } else {
      let bytes = 0;
      for (const stored of stream.from(seq)) {
        if (next_by_subj !== undefined && !matches(next_by_subj, stored.subject)) continue;
        bytes += stored.data.length;
        if (found.length > 0 && bytes > max_bytes) break;
        found.push(stored);
        if (found.length === (batch ?? 1)) break;
      }
    }
    if (found.length === 0) return status("404 Message Not Found");
    for (const [index, { sequence, subject, headers, data, time }] of found.entries()) {
      const about = {
        ...headers,
        "Nats-Stream": name,
        "Nats-Subject": subject,
        "Nats-Sequence": String(sequence),
        "Nats-Time-Stamp": new Date(time).toISOString(),
        ...(batch === undefined ? {} : {
          "Nats-Num-Pending": String(stream.last - sequence),
          "Nats-Last-Sequence": String(found[index - 1]?.sequence ?? 0),
        }),
      };
      this.#server.deliver(reply, { subject: reply, head: headOf(about), data });
    }
    if (batch !== undefined) status("204 EOB", { "Nats-Num-Pending": "0", "Nats-Last-Sequence": String(seq) });
  }

  #listen(stream: Stream): void {
    const { name } = stream.config;
    for (const { subject, subscriber } of this.#subscribed.get(name) ?? []) {
      this.#server.interest.remove(subject, subscriber);
    }
    const made = (stream.config.subjects ?? []).map((subject) => ({
      subject,
      subscriber: { take: (message: Message) => this.#offered(stream, message) },
    }));
    for (const { subject, subscriber } of made) this.#server.interest.add(subject, subscriber);
    this.#subscribed.set(name, made);
    this.#ageing(stream);
  }

  /** Somebody publishes into a stream. */
  #offered(stream: Stream, { subject, reply = "", head, data }: Message): void {
    const say = (value: unknown) => {
      if (reply !== "") this.#answer(reply, value);
    };
    const headers = headersOf(head);
    const draft = { subject, headers, data };
    try {
      if (headers["Nats-Batch-Id"] !== undefined) {
        const ack = this.#batched(stream, draft);
        if (ack !== undefined) say(ack);
        else if (reply !== "") this.#server.deliver(reply, { subject: reply, data: EMPTY });
        return;
      }
      const repeat = stream.repeatOf(headers["Nats-Msg-Id"], this.#world.now);
      if (repeat !== undefined) return say({ stream: stream.config.name, seq: repeat, duplicate: true });
      stream.expect(subject, headers["Nats-Expected-Last-Subject-Sequence"]);
      const [stored] = this.#add(stream, [draft]);
      say({ stream: stream.config.name, seq: stored?.sequence });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      say(errorOf(error));
    }
  }

  /** Takes a message of a batch; the last one has all of them stored. */
  #batched(stream: Stream, draft: Draft): unknown {
    const id = draft.headers["Nats-Batch-Id"] as string;
    const number = Number(draft.headers["Nats-Batch-Sequence"]);
    if (stream.config.allow_atomic !== true) throw new Refused(400, 10174, "atomic publish is disabled");
    const { "Nats-Batch-Id": _, "Nats-Batch-Sequence": __, "Nats-Batch-Commit": commit, ...others } = draft.headers;
    const { "Nats-Expected-Last-Subject-Sequence": expected, ...headers } = others;
    if (number === 1) this.#batches.set(id, { drafts: [], expected });
    const batch = this.#batches.get(id);
    if (batch === undefined || batch.drafts.length !== number - 1) {
      this.#batches.delete(id);
      throw new Refused(400, 10176, "atomic publish batch is incomplete");
    }
    batch.drafts.push({ ...draft, headers });
    if (commit !== "1") return undefined;
    this.#batches.delete(id);
    const [first] = batch.drafts;
    if (first !== undefined) stream.expect(first.subject, batch.expected);
    const stored = this.#add(stream, batch.drafts);
    return { stream: stream.config.name, seq: stored.at(-1)?.sequence, batch: id, count: stored.length };
  }

  /** Stores messages and does what follows from it. */
  #add(stream: Stream, drafts: readonly Draft[]): Stored[] {
    const { name, storage, max_msg_size = -1 } = stream.config;
    if (storage !== "memory" && this.#store.full) {
      throw new Refused(503, 10047, "insufficient storage resources available");
    }
    if (max_msg_size > 0 && drafts.some(({ data }) => data.length > max_msg_size)) {
      throw new Refused(400, 10054, "message size exceeds maximum allowed");
    }
    const now = { at: this.#world.now, time: this.#world.wallNow };
    const added = drafts.map((draft) => stream.add(draft, now));
    for (const stored of added) this.#tellOf(stream, stored);
    this.#catchUp(stream);
    for (const [key, consumer] of this.#consumers) if (key.startsWith(`${name}.`)) consumer.deliver();
    return added;
  }

  #tellOf(stream: Stream, stored: Stored): void {
    const { name, republish } = stream.config;
    this.#store.onStored(name, stored);
    const dest = republish === undefined ? undefined : transform(republish, stored.subject);
    if (dest === undefined) return;
    const about = {
      ...stored.headers,
      "Nats-Stream": name,
      "Nats-Subject": stored.subject,
      "Nats-Sequence": String(stored.sequence),
      "Nats-Time-Stamp": new Date(stored.time).toISOString(),
    };
    this.#server.publish({ subject: dest, head: headOf(about), data: stored.data });
  }

  /** Those that derive from a stream take what they do not have. */
  #catchUp(from: Stream): void {
    for (const stream of this.#store.streams.values()) {
      if (!stream.config.sources?.some(({ name }) => name === from.config.name)) continue;
      for (const { sequence, subject, headers, data } of [...from.from(stream.derived + 1)]) {
        stream.derived = sequence;
        const made = stream.derivedSubject(from.config.name, subject);
        if (made === undefined) continue;
        const { "Nats-Msg-Id": _, ...kept } = headers;
        const source = `${from.config.name} ${sequence} > > ${subject}`;
        this.#add(stream, [{ subject: made, headers: { ...kept, "Nats-Stream-Source": source }, data }]);
      }
    }
  }

  /** Lets go of what is too old, and says so where that was asked for. */
  #ageing(stream: Stream): void {
    const { max_age = 0, subject_delete_marker_ttl = 0 } = stream.config;
    if (max_age === 0 || max_age > HOUR_NS) return;
    const ageMs = max_age / 1e6;
    const look = () => {
      const { now } = this.#world;
      for (const stored of [...stream.from(1)]) {
        const marker = stored.headers["Nats-Marker-Reason"] !== undefined;
        if (now - stored.at < (marker ? MESSAGE_TTL_MS : ageMs)) continue;
        stream.remove(stored.sequence);
        if (marker || subject_delete_marker_ttl === 0) continue;
        const headers = { "Nats-Marker-Reason": "MaxAge", "Nats-TTL": "5s" };
        this.#add(stream, [{ subject: stored.subject, headers, data: EMPTY }]);
      }
      if (this.#store.streams.get(stream.config.name) === stream) this.#world.after(1_000, this.#process, look);
    };
    this.#world.after(1_000, this.#process, look);
  }
}

function errorOf({ code, errorCode, message }: Refused): unknown {
  return { error: { code, err_code: errorCode, description: message } };
}

const ANSWERS: Readonly<Record<string, (this: JetStream, ask: Ask) => unknown>> = {
  INFO: () => ({ memory: 0, storage: 0, streams: 0, consumers: 0, limits: {}, api: { total: 0, errors: 0 } }),
  "STREAM.INFO"({ words: [name = ""] }) {
    return this.info(name);
  },
  "STREAM.CREATE"({ body }) {
    return this.ensure(body as unknown as StreamConfig);
  },
  "STREAM.UPDATE"({ body }) {
    return this.ensure(body as unknown as StreamConfig);
  },
  "STREAM.PURGE"({ words: [name = ""], body }) {
    return this.purge(name, body);
  },
  "STREAM.MSG"({ words: [, name = ""], body }) {
    const { seq, last_by_subj, next_by_subj } = body as Record<string, string>;
    const stream = this.find(name);
    const found = last_by_subj !== undefined
      ? stream.lastOf(last_by_subj)
      : [...stream.from(Number(seq ?? 1))].find(({ subject }) =>
        next_by_subj === undefined || matches(next_by_subj, subject)
      );
    if (found === undefined) throw new Refused(404, 10037, "no message found");
    const { subject, sequence, data, headers, time } = found;
    const base64 = (bytes: Uint8Array) => btoa(String.fromCharCode(...bytes));
    const hdrs = Object.keys(headers).length === 0 ? {} : { hdrs: base64(encode(headOf(headers))) };
    return {
      message: { subject, seq: sequence, data: base64(data), ...hdrs, time: new Date(time).toISOString() },
    };
  },
  "CONSUMER.CREATE"({ words: [stream = ""], body }) {
    return this.consume(stream, body.config as ConsumerConfig);
  },
  "CONSUMER.INFO"({ words: [stream = "", name = ""] }) {
    return this.consumerInfo(stream, name);
  },
  "CONSUMER.DELETE"({ words: [stream = "", name = ""] }) {
    return this.forget(stream, name);
  },
  "CONSUMER.MSG"({ words: [, stream = "", name = ""], body, reply }) {
    return this.next(stream, name, reply, body as Record<string, number>);
  },
  "DIRECT.GET"({ words: [stream = "", ...subject], body, reply }) {
    return this.direct(stream, reply, body, subject.join("."));
  },
};
