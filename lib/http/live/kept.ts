/** What a stream keeps, followed for as long as the page is served: what is there first, then what comes. */
import type { Bus } from "../../nats/bus.ts";
import { type ReadOptions, readStream, type StreamMessage } from "../../nats/streams.ts";
import { pause } from "../../os/pause.ts";
import { XtaskError } from "../../protocol/error.ts";

/** What is needed to follow something for the page. */
export interface LiveOptions {
  readonly bus: Bus;
  readonly project: string;
  /** Called after each change. */
  readonly changed: () => void;
  /** Hears what cannot be read. */
  readonly log: (message: string) => void;
}

/** Options of {@linkcode followKept}. */
export interface KeptOptions extends Pick<ReadOptions, "subjects" | "from"> {
  readonly stream: string;
  readonly hear: (message: StreamMessage) => void;
  /** Hears what cannot be read, or followed; reading is tried again. */
  readonly log: (message: string) => void;
}

const AGAIN_MS = 2_000;

/** Follows a stream until the signal fires. Where the hub is away it begins anew when it is back. */
export async function followKept(bus: Bus, options: KeptOptions, signal: AbortSignal): Promise<void> {
  const { stream, subjects, from, hear, log } = options;
  let told = "";
  while (!signal.aborted) {
    try {
      for await (const message of readStream(bus, stream, { subjects, from, follow: true, signal })) {
        told = "";
        hear(message);
      }
    } catch (error) {
      const { message } = XtaskError.from(error);
      // Once, not every two seconds.
      if (message !== told) log(`${stream}: ${message}`);
      told = message;
    }
    await pause(AGAIN_MS, signal);
  }
}
