/** How many event streams are open, and that nobody holds them all. */
import { XtaskError } from "../protocol/error.ts";
import { STREAMS_MAX, STREAMS_PER_CALLER_MAX } from "../protocol/limits.ts";
import type { Caller } from "./session.ts";

/** The open event streams of a server. */
export interface Streams {
  readonly open: number;
  /**
   * A place for one stream of a caller, until it is disposed.
   *
   * @throws {XtaskError} `exhausted` where the caller, or everybody together, has as many as there may be
   */
  take(caller: Pick<Caller, "key">): Disposable;
}

/** Counts streams. */
export function createStreams(): Streams {
  const held = new Map<string, number>();
  let open = 0;
  return {
    get open() {
      return open;
    },
    take({ key }) {
      const own = held.get(key) ?? 0;
      if (own >= STREAMS_PER_CALLER_MAX || open >= STREAMS_MAX) {
        const whose = own >= STREAMS_PER_CALLER_MAX
          ? `You have ${own} event streams open`
          : `${open} event streams are open`;
        throw new XtaskError("exhausted", `${whose}, and more are not served at once`, {
          details: ["close some pages of xtask, or let programs share one stream"],
        });
      }
      held.set(key, own + 1);
      open++;
      let taken = true;
      return {
        [Symbol.dispose]() {
          if (!taken) return;
          taken = false;
          open--;
          const left = (held.get(key) ?? 1) - 1;
          if (left === 0) held.delete(key);
          else held.set(key, left);
        },
      };
    },
  };
}
