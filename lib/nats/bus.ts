/**
 * A connection to NATS as the rest of xtask uses it: text and bytes in, XtaskErrors out, every wait under a signal.
 */
import type { Msg, NatsConnection } from "@nats-io/nats-core";
import { createInbox, headers as createHeaders, nuid } from "@nats-io/nats-core";
import { ERROR_CODES, type ErrorCode, XtaskError } from "../protocol/error.ts";
import { HEADER } from "../protocol/run.ts";
import { subjectMatcher } from "../protocol/subjects.ts";
import { connect, type ConnectOptions, natsError, userOf } from "./connect.ts";

/** Headers of a message, one value each. */
export type Headers = Readonly<Record<string, string>>;

/** A message that arrived. */
export interface Incoming {
  readonly subject: string;
  readonly data: Uint8Array<ArrayBuffer>;
  /** Where an answer is wanted. */
  readonly reply: string | undefined;
  header(name: string): string | undefined;
  text(): string;
  respond(payload: string, headers?: Headers): void;
}

/** Options of {@linkcode Bus.request}. */
export interface RequestOptions {
  /** @default {5000} */
  readonly timeoutMs?: number;
  readonly headers?: Headers;
}

/** A connection to NATS. */
export interface Bus extends AsyncDisposable {
  /** The library's connection, for the other files of this folder. */
  readonly connection: NatsConnection;
  readonly server: string;
  /** The name that the credential was made out to, where it may end a subject: proof of who asks. */
  readonly user: string | undefined;
  readonly up: boolean;
  /** Resolves as soon as the connection is up. Rejects with the signal's reason, or `unavailable` once it is closed. */
  whenUp(signal: AbortSignal): Promise<void>;
  /** Each change of `up`, until the connection closes or the signal fires. */
  changes(signal: AbortSignal): AsyncIterable<"up" | "down">;
  publish(subject: string, payload: string, headers?: Headers): void;
  /**
   * Asks, once the connection is up: nats-core drops what is published between two attempts at a server.
   *
   * @throws {XtaskError} `unavailable` where nobody answers there or nothing could be asked, `timeout`, `forbidden`, or what
   * the answer says
   */
  request(subject: string, payload: string, options?: RequestOptions): Promise<Incoming>;
  /**
   * Calls `handle` for each message. What it throws is answered as an error where an answer is wanted.
   *
   * Whoever may read a stream can have what is stored there delivered to any subject, as a report of others too, headers and
   * all. It still has the subject that it was stored under, so what does not fit the subscription is passed by.
   */
  subscribe(subject: string, handle: (message: Incoming) => Promise<void> | void): Subscription;
  /** Answers to one message by many, until `signal` fires. */
  gather(subject: string, payload: string, signal: AbortSignal): AsyncIterable<Incoming>;
  /** Resolves when the server has everything that was published. */
  flush(): Promise<void>;
  /** A round trip to the server, in ms. */
  rttMs(): Promise<number>;
  /** Resolves when the connection is closed for good, with the reason where there is one. */
  closed(): Promise<Error | void>;
}

/** A subscription. Disposing it ends it. */
export interface Subscription extends Disposable {
  readonly subject: string;
}

/** Opens a connection. */
export async function openBus(options: ConnectOptions): Promise<Bus> {
  return busOf(await connect(options), options);
}

function busOf(connection: NatsConnection, { inboxPrefix, creds, maySend = () => true }: ConnectOptions): Bus {
  const assertMaySend = () => {
    if (!maySend()) throw new XtaskError("unavailable", "This process may not write just now");
  };
  let up = true;
  const listeners = new Set<() => void>();
  const watching = (async () => {
    for await (const { type } of connection.status()) {
      if (type !== "disconnect" && type !== "reconnect") continue;
      up = type === "reconnect";
      for (const listener of [...listeners]) listener();
    }
    up = false;
    for (const listener of [...listeners]) listener();
  })();
  const change = async (signal?: AbortSignal) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    listeners.add(resolve);
    signal?.addEventListener("abort", () => resolve(), { once: true });
    if (connection.isClosed()) resolve();
    await promise;
    listeners.delete(resolve);
  };
  const whenUp = async (signal: AbortSignal) => {
    while (!up) {
      signal.throwIfAborted();
      if (connection.isClosed()) throw new XtaskError("unavailable", "The connection to NATS is closed");
      await change(signal);
    }
  };
  return {
    connection,
    user: creds === undefined ? undefined : userOf(creds),
    get server() {
      return connection.getServer();
    },
    get up() {
      return up;
    },
    whenUp,
    async *changes(signal) {
      let last = up;
      while (!connection.isClosed() && !signal.aborted) {
        await change(signal);
        if (up !== last) yield up ? "up" : "down";
        last = up;
      }
    },
    publish(subject, payload, headers) {
      assertMaySend();
      try {
        connection.publish(subject, payload, headers === undefined ? {} : { headers: toHeaders(headers) });
      } catch (error) {
        throw natsError(error);
      }
    },
    async request(subject, payload, { timeoutMs = 5_000, headers } = {}) {
      assertMaySend();
      let leftMs = timeoutMs;
      if (!up) {
        const since = performance.now();
        await whenUp(AbortSignal.timeout(timeoutMs)).catch((error) => {
          throw error instanceof XtaskError ? error : away();
        });
        assertMaySend();
        leftMs = Math.max(1, timeoutMs - (performance.now() - since));
      }
      let answer: Incoming;
      try {
        answer = incoming(
          await connection.request(subject, payload, {
            timeout: leftMs,
            ...(headers === undefined ? {} : { headers: toHeaders(headers) }),
          }),
        );
      } catch (error) {
        throw natsError(error);
      }
      const refusal = errorOf(answer);
      if (refusal !== undefined) throw refusal;
      return answer;
    },
    subscribe(subject, handle) {
      const meant = subjectMatcher(subject);
      try {
        const subscription = connection.subscribe(subject, {
          callback: (error, message) => {
            // An error here means that the subscription was refused; the connection's status says so as well.
            if (error === null && meant(message.subject)) void answering(incoming(message), handle);
          },
        });
        return { subject, [Symbol.dispose]: () => subscription.unsubscribe() };
      } catch (error) {
        throw natsError(error);
      }
    },
    async *gather(subject, payload, signal) {
      // A signal that fires meanwhile ends what follows as well.
      if (!up) await whenUp(signal).catch(() => {});
      const inbox = createInbox(inboxPrefix);
      // Those who answer see it; the next one is to have nothing in common with it.
      nuid.reset();
      let stop = () => {};
      try {
        const subscription = connection.subscribe(inbox);
        stop = () => subscription.unsubscribe();
        signal.addEventListener("abort", stop, { once: true });
        if (signal.aborted) stop();
        connection.publish(subject, payload, { reply: inbox });
        for await (const message of subscription) {
          // Nobody is subscribed at all: an empty answer with status 503.
          if (message.headers?.code === 503) return;
          yield incoming(message);
        }
      } catch (error) {
        throw natsError(error);
      } finally {
        signal.removeEventListener("abort", stop);
        stop();
      }
    },
    flush: () => connection.flush().catch((error) => Promise.reject(natsError(error))),
    async rttMs() {
      const begun = performance.now();
      // The library's own figure is in whole milliseconds: too coarse within one machine.
      await connection.rtt().catch((error) => Promise.reject(natsError(error)));
      return performance.now() - begun;
    },
    closed: () => connection.closed(),
    async [Symbol.asyncDispose]() {
      // Draining hands over what was published; with the link down, now or meanwhile, there is nobody to hand it to.
      if (up && !connection.isClosed()) await connection.drain().catch(() => {});
      if (!connection.isClosed()) await connection.close();
      await watching;
    },
  };
}

/** Without a cause: nothing was sent, so nothing was taken. */
function away(): XtaskError {
  return new XtaskError("unavailable", "The NATS server cannot be reached just now, so nothing was asked", {
    details: ["the connection is made again by itself as soon as the server is back"],
  });
}

async function answering(message: Incoming, handle: (message: Incoming) => Promise<void> | void): Promise<void> {
  try {
    await handle(message);
  } catch (thrown) {
    respondError(message, natsError(thrown));
  }
}

/** An error tells of what was asked, which may be as long as a message can be; its answer is to fit into one with headers. */
const ERROR_CHARS_MAX = 4_096;
const ERROR_DETAILS_MAX = 20;
const cut = (text: string) => text.length > ERROR_CHARS_MAX ? `${text.slice(0, ERROR_CHARS_MAX)}…` : text;

/** Answers with an error in the form of the NATS services protocol: headers, and a body for programs. */
export function respondError(message: Incoming, error: XtaskError, body: Record<string, unknown> = {}): void {
  if (message.reply === undefined) return;
  const { code } = error;
  const details = error.details.slice(0, ERROR_DETAILS_MAX).map(cut);
  const told = new XtaskError(code, cut(error.message), { details });
  message.respond(JSON.stringify({ ...body, error: told.toWire() }), {
    [HEADER.errorCode]: String(ERROR_CODES[code].http),
    [HEADER.error]: told.message.replaceAll(/[\r\n]+/g, " "),
  });
}

/** The error that a message carries, if it does. */
export function errorOf(message: Incoming): XtaskError | undefined {
  const status = message.header(HEADER.errorCode);
  if (status === undefined) return undefined;
  const code = (Object.keys(ERROR_CODES) as ErrorCode[]).find((name) => ERROR_CODES[name].http === Number(status));
  let details: string[] = [];
  try {
    const body = JSON.parse(message.text()) as { error?: { details?: unknown } };
    if (Array.isArray(body.error?.details)) details = body.error.details.map(String);
  } catch {
    // A service of another make: its headers say enough.
  }
  return new XtaskError(code ?? "internal", message.header(HEADER.error) ?? "The answer is an error", { details });
}

function toHeaders(values: Headers) {
  const made = createHeaders();
  for (const [name, value] of Object.entries(values)) made.set(name, value);
  return made;
}

/**
 * The library's message in our words. Whoever asks chooses where the answer goes, and it goes with the rights of whoever
 * answers: so only an inbox is answered, never a subject that means something, such as that of a report.
 */
export function incoming(message: Msg): Incoming {
  const reply = message.reply?.startsWith("_") ? message.reply : undefined;
  return {
    subject: message.subject,
    data: message.data as Uint8Array<ArrayBuffer>,
    reply,
    header: (name) => message.headers?.has(name) ? message.headers.get(name) : undefined,
    text: () => message.string(),
    respond: (payload, headers) => {
      if (reply !== undefined) message.respond(payload, headers === undefined ? {} : { headers: toHeaders(headers) });
    },
  };
}
