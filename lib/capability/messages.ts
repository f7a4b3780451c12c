/**
 * What the main thread and a capability's Worker say to each other. Output travels as transferred bytes under credits. What is
 * said in one turn travels together: a crossing costs more than most of what crosses.
 */
import type { WireError } from "../protocol/error.ts";
import type { NodeFacts } from "./define.ts";

/** What is known of the node when its Worker starts; the processes to protect may change from run to run. */
export type FixedFacts = Omit<NodeFacts, "protectedPids">;

/** To the Worker. `call` numbers the runs of one Worker. */
export type ToWorker =
  | { readonly type: "load"; readonly capability: string; readonly node: FixedFacts }
  | {
    readonly type: "run";
    readonly call: number;
    readonly command: string;
    readonly attempt: number;
    readonly verb: string;
    /** Only tell the process that does it: see `Verb.keep`. */
    readonly tell?: true;
    readonly protectedPids: readonly number[];
    readonly input: unknown;
  }
  | { readonly type: "ready"; readonly call: number }
  | { readonly type: "abort"; readonly call: number; readonly reason: WireError }
  /** So many messages of output have been dealt with. */
  | { readonly type: "credit"; readonly call: number; readonly count: number }
  /** What the process left behind is gone. */
  | { readonly type: "reaped"; readonly call: number; readonly pid: number };

/** From the Worker. */
export type FromWorker =
  | {
    readonly type: "output";
    readonly call: number;
    readonly stream: "out" | "err";
    readonly bytes: Uint8Array<ArrayBuffer>;
  }
  | { readonly type: "started" | "ended" | "end"; readonly call: number; readonly pid: number }
  | { readonly type: "done"; readonly call: number; readonly data: unknown; readonly exitCode?: number }
  | { readonly type: "failed"; readonly call: number; readonly error: WireError; readonly exitCode?: number };

/**
 * Sends what it is given within a turn as one list, in order.
 *
 * @param send Takes a list and the buffers that go with it
 */
export function gathered<T>(
  send: (messages: readonly T[], transfer: Transferable[]) => void,
): (message: T, transfer?: Transferable[]) => void {
  let messages: T[] = [];
  let transfers: Transferable[] = [];
  return (message, transfer = []) => {
    messages.push(message);
    transfers.push(...transfer);
    if (messages.length > 1) return;
    queueMicrotask(() => {
      const [all, moved] = [messages, transfers];
      [messages, transfers] = [[], []];
      send(all, moved);
    });
  };
}

/** How many messages of output one run may have on their way; then its Worker stops reading the pipe, and the process waits. */
export const OUTPUT_CREDITS = 16;
