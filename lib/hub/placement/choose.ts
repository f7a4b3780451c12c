/** Which node a command that may move is given to. Pure. */
import { best } from "../../protocol/fitness.ts";
import type { NodeRecord } from "../../protocol/node.ts";
import type { Selector } from "../../protocol/selector.ts";

/** What is looked for. */
export interface Sought {
  readonly capability: string;
  readonly matches: Selector;
}

/** What is known of a node. */
export type Candidate = Pick<
  NodeRecord,
  | "id"
  | "hostname"
  | "platform"
  | "labels"
  | "capabilities"
  | "state"
  | "slots"
  | "queued"
  | "load"
  | "running"
  | "leases"
>;

/**
 * Slots of a node that are free for one more: those that it tells of, less what it was given and did not know of when it
 * told. What has no slot waits at the hub, where any node can still get it, and not in one node's line.
 *
 * @param given Ids of the commands that it was given
 */
export function roomOf({ slots, running, state }: Candidate, given: readonly string[]): number {
  if (state !== "online" && state !== "busy") return 0;
  return slots.free - given.filter((id) => !running.includes(id)).length;
}

/** Whether a node is one of those that are meant, and knows of leases. */
export function isMeant(node: Candidate, { capability, matches }: Sought): boolean {
  return node.leases === true && node.capabilities.some(({ name }) => name === capability) && matches(node);
}

/**
 * The node that could start it soonest.
 *
 * @param givenTo What each node was given
 * @param not A node that is taken only where no other fits
 */
export function choose(
  nodes: readonly Candidate[],
  sought: Sought,
  givenTo: (node: string) => readonly string[],
  not?: string,
): string | undefined {
  const fit = nodes.filter((node) => isMeant(node, sought)).flatMap((node) => {
    const free = roomOf(node, givenTo(node.id));
    return free > 0 ? [{ ...node, slots: { ...node.slots, free } }] : [];
  });
  return (best(fit.filter(({ id }) => id !== not)) ?? best(fit))?.id;
}
