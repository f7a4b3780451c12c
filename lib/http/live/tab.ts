/** The event stream of one tab: the state of what it shows, then what changes of it. */
import { Patches } from "./patches.ts";
import { type PushOptions, pushStream } from "./push.ts";
import { type Frames, patchBytes } from "./rendered.ts";

/** Options of {@linkcode tabStream}. */
export interface TabOptions extends Omit<PushOptions, "next" | "beat"> {
  /** What the tab shows now. */
  readonly frames: () => Promise<Frames> | Frames;
}

/** The stream's bytes. */
export function tabStream({ frames, ...options }: TabOptions): ReadableStream<Uint8Array<ArrayBuffer>> {
  let shown: Frames = [];
  return pushStream({
    ...options,
    async next() {
      const now = await frames();
      const bytes = patchBytes(shown, now);
      shown = now;
      return bytes;
    },
    beat() {
      const patches = new Patches();
      patches.patchSignals(JSON.stringify({ _beat: Date.now() }));
      return new TextEncoder().encode(patches.take());
    },
  });
}
