/**
 * The event stream of one tab: the state of what it shows, then what changes of it, at most once a frame. What a tab has not
 * taken yet is never added to: it gets the newest state when it takes again, and misses only what that replaces.
 */
import { FRAME_MS, TAB_BEAT_MS, TAB_BYTES_MAX } from "../../protocol/limits.ts";
import { Patches } from "./patches.ts";
import { type Frames, patchBytes } from "./rendered.ts";

/** Options of {@linkcode tabStream}. */
export interface TabOptions {
  /** What the tab shows now. */
  readonly frames: () => Promise<Frames> | Frames;
  /** Calls back when that may have changed. */
  readonly onChange: (hear: () => void) => Disposable;
  /** Ends the stream. */
  readonly signal: AbortSignal;
  /** Hears that the stream has ended, whoever ended it. */
  readonly onEnd: () => void;
  /** Hears what kept a frame from being made; the stream goes on. */
  readonly onTrouble: (error: unknown) => void;
}

/** The stream's bytes. */
export function tabStream(options: TabOptions): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { frames, onChange, signal, onEnd, onTrouble } = options;
  const patches = new Patches();
  const encoder = new TextEncoder();
  let shown: Frames = [];
  let [dirty, making, ended] = [true, false, false];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let beat: ReturnType<typeof setInterval> | undefined;
  let listening: Disposable | undefined;

  const end = () => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    clearInterval(beat);
    listening?.[Symbol.dispose]();
    signal.removeEventListener("abort", close);
    onEnd();
  };
  let close = () => {};

  const send = async (controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>) => {
    if (making || ended || !dirty || (controller.desiredSize ?? 0) <= 0) return;
    [making, dirty] = [true, false];
    try {
      const next = await frames();
      const bytes = patchBytes(shown, next);
      shown = next;
      // A copy: what is shared must not go with the stream that it was put into.
      if (bytes.length > 0 && !ended) controller.enqueue(bytes.slice());
    } catch (error) {
      onTrouble(error);
    } finally {
      making = false;
      // What changed meanwhile is in no frame yet.
      if (dirty && !ended) soon(controller);
    }
  };
  const soon = (controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>) => {
    // All tabs at the same moments, so that they are sent the same states.
    timer ??= setTimeout(() => {
      timer = undefined;
      void send(controller);
    }, FRAME_MS - performance.now() % FRAME_MS);
  };
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async start(controller) {
      close = () => {
        end();
        controller.close();
      };
      if (signal.aborted) return close();
      signal.addEventListener("abort", close, { once: true });
      listening = onChange(() => {
        dirty = true;
        soon(controller);
      });
      beat = setInterval(() => {
        if ((controller.desiredSize ?? 0) <= 0) return;
        patches.patchSignals(JSON.stringify({ _beat: Date.now() }));
        controller.enqueue(encoder.encode(patches.take()));
      }, TAB_BEAT_MS);
      await send(controller);
    },
    pull(controller) {
      if (dirty) soon(controller);
    },
    cancel: end,
  }, { highWaterMark: TAB_BYTES_MAX, size: (chunk) => chunk?.byteLength ?? 0 });
}
