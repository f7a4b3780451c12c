/** Storing several messages at the hub at once: all of them or none. */
import { errors, headers as createHeaders } from "@nats-io/nats-core";
import * as v from "valibot";
import { XtaskError } from "../protocol/error.ts";
import { parseJson } from "../protocol/parse.ts";
import type { Bus } from "./bus.ts";
import { natsError } from "./connect.ts";
import { lost, type Stored } from "./uplink.ts";

/** How a batch went. */
export type BatchOutcome =
  /** It is stored, beginning with this sequence. */
  | { readonly first: number }
  /** It is not: the newest message of the first one's subject is another one, with this sequence. */
  | { readonly newest: number }
  /** Nothing has left this machine, as there is no link. */
  | { readonly away: true };

const Answer = v.object({
  seq: v.optional(v.number(), 0),
  count: v.optional(v.number(), 0),
  error: v.optional(v.object({ err_code: v.optional(v.number()), description: v.string() })),
});

/** The server's code for another newest sequence than the one that was named, which stands in its description. */
const WRONG_LAST_SEQUENCE = 10071;

/** To store all of it may take so many times as long as to begin. */
const SLOWER = 8;

/** Options of {@linkcode publishBatch}. */
export interface BatchOptions {
  /**
   * Sequence of the newest message of the first one's subject; 0 for none. A batch that was stored already does not meet it
   * any more, so that sending it again is safe.
   */
  readonly expected: number;
  /** How long an answer is waited for. */
  readonly answerMs: number;
  /** How long the last answer is waited for at most, where the first one was slow or did not come. @default {answerMs} */
  readonly slowMs?: number;
  /** Ends the wait sooner. */
  readonly signal?: AbortSignal;
}

/**
 * Publishes messages as one batch.
 *
 * @throws {XtaskError} where it cannot be known whether they are stored
 */
export async function publishBatch(
  bus: Bus,
  messages: readonly Stored[],
  { expected, answerMs, slowMs = answerMs, signal }: BatchOptions,
): Promise<BatchOutcome> {
  // What is published now would be forgotten when there is a connection again.
  if (!bus.up) return { away: true };
  const id = crypto.randomUUID();
  const ended = Promise.withResolvers<never>();
  ended.promise.catch(() => {});
  const end = () => ended.reject(new XtaskError("timeout", "An answer is not waited for any more"));
  signal?.addEventListener("abort", end, { once: true });
  const answered = new AbortController();
  lost(bus, answered.signal).catch(ended.reject);
  let timeout = answerMs;
  const send = async ({ subject, headers, payload }: Stored, index: number) => {
    const made = createHeaders();
    for (const [name, value] of Object.entries(headers)) made.set(name, value);
    made.set("Nats-Batch-Id", id);
    made.set("Nats-Batch-Sequence", String(index + 1));
    const last = index === messages.length - 1;
    if (index === 0) made.set("Nats-Expected-Last-Subject-Sequence", String(expected));
    if (last) made.set("Nats-Batch-Commit", "1");
    // Only the first and the last one are answered: when it was begun, and when it is stored.
    if (index > 0 && !last) return void bus.connection.publish(subject, payload, { headers: made });
    return await Promise.race([
      bus.connection.request(subject, payload, { headers: made, timeout }),
      ended.promise,
    ]);
  };
  const begin = async (message: Stored) => {
    const at = performance.now();
    try {
      return await send(message, 0);
    } catch (error) {
      if (error instanceof XtaskError || natsError(error).code !== "timeout") throw error;
      // A hub with much to do has begun it by and by. To begin another one would be more of what it has to do; where the
      // beginning was lost it says so of the end.
      return undefined;
    } finally {
      timeout = Math.max(answerMs, Math.min(SLOWER * (performance.now() - at), slowMs));
    }
  };
  let [text, begun] = ["", false];
  try {
    for (const [index, message] of messages.entries()) {
      begun = index > 0;
      const answer = await (begun ? send(message, index) : begin(message));
      // The beginning is answered with nothing where all is well.
      text = answer?.string() ?? "";
      if (text !== "") break;
    }
  } catch (error) {
    // The node's own server says so at once.
    if (!begun && noResponders(error)) return { away: true };
    throw natsError(error);
  } finally {
    signal?.removeEventListener("abort", end);
    answered.abort();
  }
  const { seq, count, error } = parseJson(Answer, text, "answer to a batch");
  if (error === undefined) return { first: seq - count + 1 };
  const newest = /wrong last sequence: (\d+)/.exec(error.description)?.[1];
  if (error.err_code === WRONG_LAST_SEQUENCE && newest !== undefined) return { newest: Number(newest) };
  throw new XtaskError("unavailable", `The hub does not take these reports: ${error.description}`);
}

function noResponders(error: unknown): boolean {
  return error instanceof errors.NoRespondersError || error instanceof errors.RequestError && error.isNoResponders();
}
