/** Asking JetStream again what was left unanswered. */
import type { Msg, NatsConnection } from "@nats-io/nats-core";

type Request = NatsConnection["request"];

/**
 * What changes nothing, however often it is asked. In a cluster such a question is for whoever leads a stream: while that is
 * being settled, which takes moments, nobody answers it, and nobody does later. Source: `jsStreamInfoRequest` of nats-server 2.15.
 */
const READING =
  /^\$JS\.(?:[^.]+\.)?API\.(?:INFO$|(?:STREAM|CONSUMER)\.(?:INFO|LIST|NAMES)\b|STREAM\.MSG\.GET\.|DIRECT\.GET\.)/;
const AGAIN_MS = 1_000;
const TIMEOUT_MS_DEFAULT = 1_000;

/** A connection's `request` that asks JetStream's questions again each second, and takes whichever answer comes first. */
export function askingAgain(request: Request): Request {
  return (subject, payload, options) => {
    if (!READING.test(subject)) return request(subject, payload, options);
    const { timeout = TIMEOUT_MS_DEFAULT } = options ?? {};
    return firstOf((timeoutMs) => request(subject, payload, { ...options, timeout: timeoutMs }), timeout);
  };
}

async function firstOf(ask: (timeoutMs: number) => Promise<Msg>, timeoutMs: number): Promise<Msg> {
  const until = performance.now() + timeoutMs;
  const { promise, resolve, reject } = Promise.withResolvers<Msg>();
  const once = (leftMs: number) => void ask(leftMs).then(resolve, reject);
  once(timeoutMs);
  const timer = setInterval(() => {
    const leftMs = until - performance.now();
    if (leftMs >= 1) once(leftMs);
  }, AGAIN_MS);
  try {
    return await promise;
  } finally {
    clearInterval(timer);
  }
}
