/** The server of a cluster that leads a stream. */
import { jetstreamManager } from "@nats-io/jetstream";
import { stepDownSubject } from "../protocol/subjects.ts";
import type { Bus } from "./bus.ts";
import { natsError } from "./connect.ts";

/** Who leads a stream, and how it does with the stream that it derives from. */
export interface StreamLeader {
  /** The server's name. */
  readonly leader: string;
  /** How long ago its source was heard, in ms; undefined where this leader has not heard it yet, or there is none. */
  readonly silentMs: number | undefined;
}

const ASK_MS = 5_000;

/**
 * Undefined where nobody leads it just now.
 *
 * @throws {XtaskError} `unavailable` where no server answers, as while they elect one
 */
export async function leaderOf(bus: Bus, stream: string): Promise<StreamLeader | undefined> {
  try {
    const manager = await jetstreamManager(bus.connection, { checkAPI: false, timeout: ASK_MS });
    const { cluster, sources } = await manager.streams.info(stream);
    if (!cluster?.leader) return undefined;
    const active = sources?.[0]?.active ?? -1;
    return { leader: cluster.leader, silentMs: active < 0 ? undefined : active / 1e6 };
  } catch (error) {
    throw natsError(error);
  }
}

/**
 * Has the servers choose another leader for a stream.
 *
 * @throws {XtaskError} `unavailable` where no server answers
 */
export async function changeLeader(bus: Bus, stream: string): Promise<void> {
  await bus.request(stepDownSubject(stream), "", { timeoutMs: ASK_MS });
}
