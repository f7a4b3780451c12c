/**
 * A stream of events for somebody who watches: what has changed is told at most once a frame, and only to whoever has taken
 * what came before. Nothing is added to what waits: whoever is slow gets the newest state when they read again.
 */
import { FRAME_MS, TAB_BEAT_MS, TAB_BYTES_MAX } from "../../protocol/limits.ts";

type Bytes = Uint8Array<ArrayBuffer>;

/** What could not be told is tried again after this long. */
const AGAIN_MS = 2_000;

/** Options of {@linkcode pushStream}. */
export interface PushOptions {
  /** What there is to tell since it was asked last; nothing where that is the same. */
  readonly next: () => Promise<Bytes | undefined> | Bytes | undefined;
  /** Calls back when there may be more. */
  readonly onChange: (hear: () => void) => Disposable;
  /** What is sent now and then, so that a dead link is noticed. */
  readonly beat: () => Bytes;
  /** Ends the stream. */
  readonly signal: AbortSignal;
  /** Hears that the stream has ended, whoever ended it. */
  readonly onEnd: () => void;
  /** Hears what could not be told; the stream goes on. */
  readonly onTrouble: (error: unknown) => void;
}

/** The stream's bytes. */
export function pushStream(options: PushOptions): ReadableStream<Bytes> {
  const { next, onChange, beat, signal, onEnd, onTrouble } = options;
  let [dirty, making, ended] = [true, false, false];
  let timer: ReturnType<typeof setTimeout> | undefined;
  let beating: ReturnType<typeof setInterval> | undefined;
  let listening: Disposable | undefined;

  const end = () => {
    if (ended) return;
    ended = true;
    clearTimeout(timer);
    clearInterval(beating);
    listening?.[Symbol.dispose]();
    signal.removeEventListener("abort", close);
    onEnd();
  };
  let close = () => {};

  const send = async (controller: ReadableStreamDefaultController<Bytes>) => {
    if (making || ended || !dirty || (controller.desiredSize ?? 0) <= 0) return;
    [making, dirty] = [true, false];
    let waitMs: number | undefined;
    try {
      const bytes = await next();
      // A copy: what many are sent must not go with the stream of one.
      if (bytes !== undefined && bytes.length > 0 && !ended) controller.enqueue(bytes.slice());
    } catch (error) {
      [dirty, waitMs] = [true, AGAIN_MS];
      onTrouble(error);
    } finally {
      making = false;
      // What changed meanwhile has not been told yet.
      if (dirty && !ended) soon(controller, waitMs);
    }
  };
  // All at the same moments, so that they are told of the same states.
  const soon = (
    controller: ReadableStreamDefaultController<Bytes>,
    waitMs = FRAME_MS - performance.now() % FRAME_MS,
  ) => {
    timer ??= setTimeout(() => {
      timer = undefined;
      void send(controller);
    }, waitMs);
  };
  return new ReadableStream<Bytes>({
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
      beating = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(beat());
      }, TAB_BEAT_MS);
      await send(controller);
    },
    pull(controller) {
      if (dirty) soon(controller);
    },
    cancel: end,
  }, { highWaterMark: TAB_BYTES_MAX, size: (chunk) => chunk?.byteLength ?? 0 });
}
