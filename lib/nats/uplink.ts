/** The node's way to the hub's stream `XTASK_UP`: a publish that resolves when the stream has stored the message. */
import { headers as createHeaders } from "@nats-io/nats-core";
import { XtaskError } from "../protocol/error.ts";
import type { Bus } from "./bus.ts";
import { natsError } from "./connect.ts";

/** A message to be stored. */
export interface Stored {
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array<ArrayBuffer>;
}

/** Options of {@linkcode publishStored}. */
export interface StoreOptions {
  /**
   * Tells a repeat apart: the stream stores one message of an id within its window for duplicates. None where others publish
   * into the stream as well, who could take the id first
   */
  readonly id?: string;
  /** Ends the wait. The answer to what has left gets a moment still: most likely it is stored, and that is worth knowing. */
  readonly signal?: AbortSignal;
}

const ACK_TIMEOUT_MS = 10_000;
const LAST_ACK_MS = 1_000;

/**
 * Publishes into a stream.
 *
 * @returns Its sequence in the stream
 * @throws {XtaskError} where it cannot be known whether the message is stored; sending it again is safe
 */
export async function publishStored(
  bus: Bus,
  { subject, headers, payload }: Stored,
  { id, signal }: StoreOptions = {},
): Promise<number> {
  signal?.throwIfAborted();
  const made = createHeaders();
  for (const [name, value] of Object.entries(headers)) made.set(name, value);
  if (id !== undefined) made.set("Nats-Msg-Id", id);
  let answer: { seq?: number; error?: { code: number; description: string } };
  const answered = new AbortController();
  const given = Promise.withResolvers<never>();
  let late: ReturnType<typeof setTimeout> | undefined;
  const giveUp = () => {
    late = setTimeout(() => given.reject(signal?.reason), LAST_ACK_MS);
  };
  signal?.addEventListener("abort", giveUp, { once: true });
  try {
    const message = await Promise.race([
      bus.connection.request(subject, payload, { timeout: ACK_TIMEOUT_MS, headers: made }),
      lost(bus, answered.signal),
      given.promise,
    ]);
    answer = message.json();
  } catch (error) {
    throw natsError(error);
  } finally {
    signal?.removeEventListener("abort", giveUp);
    clearTimeout(late);
    answered.abort();
  }
  if (answer.error !== undefined) {
    throw new XtaskError("unavailable", `This is not stored: ${answer.error.description}`);
  }
  return answer.seq ?? 0;
}

/** Rejects when the connection is lost, and with it what was under way: the answer would never come. */
export async function lost(bus: Bus, signal: AbortSignal): Promise<never> {
  for await (const change of bus.changes(signal)) {
    if (change === "down") throw new XtaskError("unavailable", "The connection was lost before the answer came");
  }
  return await new Promise<never>(() => {});
}
