/** Which of several nodes could start a command soonest. */
import type { NodeRecord } from "./node.ts";

/** What it depends on. */
export type Busy = Pick<NodeRecord, "slots" | "queued" | "load">;

/** The node that could start a command soonest: free slots first, then the load of its cores. */
export function best<T extends Busy>(nodes: readonly T[]): T | undefined {
  const waiting = ({ slots, queued }: Busy) => slots.free > 0 ? -slots.free / slots.total : queued + 1;
  const load = ({ load }: Busy) => load.one / load.cores;
  return [...nodes].sort((a, b) => waiting(a) - waiting(b) || load(a) - load(b))[0];
}
