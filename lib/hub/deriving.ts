/**
 * In a cluster, streams that derive from the one that nodes write to: each is made to go on soon after a server died. A server
 * sees a silent source after 10 to 20 s, and where its question for a new one meets no leader it waits 30 s more; one that
 * comes to lead a stream asks at once. So a stream whose source has been silent for longer than a heartbeat can be late is
 * given another leader. Source: `processAllSourceMsgs` and `trySetupSourceConsumer` of nats-server 2.15.
 */
import type { Bus } from "../nats/bus.ts";
import { changeLeader, leaderOf, type StreamLeader } from "../nats/stream_leader.ts";
import { STREAM } from "../nats/streams.ts";
import { pause } from "../os/pause.ts";
import { derivations } from "../protocol/subjects.ts";

/** What is known of a stream from one look to the next. All times are on the same clock, in ms. */
export interface Derived {
  /** The server that led it. */
  readonly leader: string;
  /** When its source was heard last, or else when this leader was first seen. */
  readonly heardAt: number;
  /** When it was last given another leader. */
  readonly movedAt?: number;
}

/** The source says something each second. */
const SILENT_MS = 5_000;
/** One that was given another leader gets longer, as moving it on does not help where the servers are short of time. */
const AGAIN_MS = 20_000;
const LOOK_MS = 2_000;

/**
 * What is known after another look, and whether the stream is to be given another leader now.
 *
 * @param lacks Whether it is known to lack something that the stream has which it derives from
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { looked } from "./deriving.ts";
 *
 * const first = looked(undefined, { leader: "a", silentMs: 800 }, 10_000);
 * assert.deepEqual(first, { known: { leader: "a", heardAt: 9_200 }, move: false });
 * assert.ok(looked(first.known, { leader: "a", silentMs: 5_800 }, 15_000).move);
 *
 * const lacking = looked(first.known, { leader: "a", silentMs: 800 }, 11_000, true);
 * assert.ok(lacking.move);
 * assert.ok(!looked(lacking.known, { leader: "b", silentMs: 800 }, 13_000, true).move, "it was moved just now");
 * ```
 */
export function looked(
  before: Derived | undefined,
  { leader, silentMs }: StreamLeader,
  at: number,
  lacks = false,
): { readonly known: Derived; readonly move: boolean } {
  const since = before?.leader === leader ? before.heardAt : at;
  const heardAt = silentMs === undefined ? since : at - silentMs;
  const movedAt = before?.movedAt;
  const move = (lacks || at - heardAt > SILENT_MS) && (movedAt === undefined || at - movedAt > AGAIN_MS);
  if (move) return { known: { leader, heardAt, movedAt: at }, move };
  return { known: { leader, heardAt, ...(movedAt === undefined ? {} : { movedAt }) }, move };
}

/** Looking after the streams that derive. */
export interface Deriving {
  /** The stream is known to lack something: it is looked at now. */
  lacks(stream: string): void;
  /** Resolves after the signal. */
  readonly ended: Promise<void>;
}

/** Looks after them until the signal. */
export function keepDeriving(
  { bus, log }: { readonly bus: Bus; readonly log: (level: "info", message: string) => void },
  signal: AbortSignal,
): Deriving {
  const streams = Object.keys(derivations("")).map((kind) => STREAM[kind as keyof ReturnType<typeof derivations>]);
  const known = new Map<string, Derived>();
  const lacking = new Set<string>();
  let wake = new AbortController();
  const look = async () => {
    // Where the stream that they derive from has no leader, another one for them is of no use.
    if (await leaderOf(bus, STREAM.up) === undefined) return;
    for (const stream of streams) {
      const found = await leaderOf(bus, stream);
      if (found === undefined) continue;
      const { known: next, move } = looked(known.get(stream), found, performance.now(), lacking.delete(stream));
      known.set(stream, next);
      if (!move) continue;
      log("info", `${stream} has not heard of ${STREAM.up} for a while: another server is to lead it`);
      await changeLeader(bus, stream);
    }
  };
  const ended = (async () => {
    for (;;) {
      wake = new AbortController();
      await pause(LOOK_MS, AbortSignal.any([signal, wake.signal]));
      if (signal.aborted) return;
      // Servers that elect a leader do not answer. It is looked at again.
      await look().catch(() => {});
    }
  })();
  return {
    lacks(stream) {
      lacking.add(stream);
      wake.abort();
    },
    ended,
  };
}
