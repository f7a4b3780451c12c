/** The nodes as the hub knows them: who is there, who left, who may take an id. */
import * as v from "valibot";
import { type Heartbeat, NodeRecord } from "../protocol/node.ts";

/** What the hub keeps of a node. */
export const NodeView = v.object({
  ...NodeRecord.entries,
  /** When it was last heard of. */
  seenAt: v.string(),
  /** Why it is offline: somebody stopped its agent, or it was not heard of any more. */
  away: v.optional(v.picklist(["stopped", "lost"])),
});
/** What the hub keeps of a node. */
export type NodeView = v.InferOutput<typeof NodeView>;

/** Something that changed, to be told. */
export type FleetChange = {
  readonly type: "node_joined" | "node_left";
  readonly node: string;
  readonly reason: string;
  /** It was last heard of then, and nobody stopped it. */
  readonly lostSince?: string;
};

/** The nodes of a project. Pure but for being kept here: time comes in as a number. */
export class Fleet {
  readonly #nodes = new Map<string, NodeView>();

  constructor(known: Iterable<NodeView> = []) {
    for (const view of known) this.#nodes.set(view.id, view);
  }

  get nodes(): NodeView[] {
    return [...this.#nodes.values()].sort((a, b) => a.id < b.id ? -1 : 1);
  }

  get(id: string): NodeView | undefined {
    return this.#nodes.get(id);
  }

  /** A node told its record. */
  registered(record: NodeRecord, now: number): FleetChange | undefined {
    const before = this.#nodes.get(record.id);
    this.#nodes.set(record.id, { ...record, seenAt: iso(now) });
    return joined(before, record.id, record.hostname);
  }

  /** A node is alive. Undefined for one whose record is not known, which must be asked for. */
  beat(
    { id, state, slots, queued, load, running, instance, link }: Heartbeat,
    now: number,
  ): { change?: FleetChange } | undefined {
    const before = this.#nodes.get(id);
    if (before === undefined || before.instance !== instance) return undefined;
    const since = before.state === state ? before.since : iso(now);
    const { away: _, ...present } = before;
    const stopped = state === "offline" ? { away: "stopped" as const } : {};
    const told = link === undefined ? {} : { link };
    const seenAt = iso(now);
    this.#nodes.set(id, { ...present, ...stopped, ...told, state, slots, queued, load, running, since, seenAt });
    const change: FleetChange | undefined = state !== "offline"
      ? joined(before, id, before.hostname)
      : before.state === "offline"
      ? undefined
      : { type: "node_left", node: id, reason: "its agent was stopped" };
    return change === undefined ? {} : { change };
  }

  /** A node has not been heard of for too long. */
  lost(id: string, now: number): FleetChange | undefined {
    const before = this.#nodes.get(id);
    if (before === undefined || before.state === "offline") return undefined;
    this.#nodes.set(id, { ...before, state: "offline", since: iso(now), away: "lost" });
    return { type: "node_left", node: id, reason: `not heard of since ${before.seenAt}`, lostSince: before.seenAt };
  }
}

function joined(before: NodeView | undefined, node: string, hostname: string): FleetChange | undefined {
  if (before !== undefined && before.state !== "offline") return undefined;
  return { type: "node_joined", node, reason: before === undefined ? `new, on ${hostname}` : "back again" };
}

function iso(now: number): string {
  return new Date(now).toISOString();
}
