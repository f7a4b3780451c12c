/**
 * The event stream of one tab: the state of what it shows, then what changes of it, at most once a frame. What a tab has not
 * taken yet is never added to: it gets the newest state when it takes again, and misses only what that replaces.
 */
import { FRAME_MS, TAB_BEAT_MS, TAB_BYTES_MAX } from "../../protocol/limits.ts";
import { type Frame, patchesBetween } from "../../../ui/frame.ts";
import { Patches } from "./patches.ts";

/** Options of {@linkcode tabStream}. */
export interface TabOptions {
  /** What the tab shows now. */
  readonly frames: () => Promise<readonly Frame[]> | readonly Frame[];
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
  let shown: readonly Frame[] = [];
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
      for (const html of patchesBetween(shown, next)) patches.patchElements(html);
      shown = next;
      const text = patches.take();
      if (text !== "" && !ended) controller.enqueue(encoder.encode(text));
    } catch (error) {
      onTrouble(error);
    } finally {
      making = false;
      // What changed meanwhile is in no frame yet.
      if (dirty && !ended) soon(controller);
    }
  };
  const soon = (controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>) => {
    timer ??= setTimeout(() => {
      timer = undefined;
      void send(controller);
    }, FRAME_MS);
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
