/** The nodes as the hub knows them: who is there, who left, who may take an id. */
import * as v from "valibot";
import { PRESENCE_MS } from "../protocol/limits.ts";
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
  /** What else tells of why it is lost. */
  readonly hint?: string;
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
    return joined(before, record, backReason(before, record));
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
      ? joined(before, before, SAME_AGENT)
      : before.state === "offline"
      ? undefined
      : { type: "node_left", node: id, reason: "its agent was stopped" };
    return change === undefined ? {} : { change };
  }

  /** A node has not been heard of for too long. */
  lost(id: string, now: number): FleetChange | undefined {
    const before = this.#nodes.get(id);
    if (before === undefined || before.state === "offline") return undefined;
    const hint = this.#hintOf(before, now);
    const { rttMs: _, ...link } = before.link;
    this.#nodes.set(id, { ...before, state: "offline", since: iso(now), away: "lost", link: { ...link, up: false } });
    return {
      type: "node_left",
      node: id,
      reason: `not heard of since ${before.seenAt}`,
      lostSince: before.seenAt,
      ...(hint === undefined ? {} : { hint }),
    };
  }

  /** What others tell of why a node is lost: nobody else can. */
  #hintOf({ id, hostname }: NodeView, now: number): string | undefined {
    const others = [...this.#nodes.values()].filter((other) => other.id !== id);
    const lost = others.filter(({ away, since }) => away === "lost" && now - Date.parse(since) < TOGETHER_MS);
    const there = others.filter(({ state, seenAt }) => state !== "offline" && now - Date.parse(seenAt) < PRESENCE_MS);
    const near = there.find((other) => other.hostname === hostname);
    if (near !== undefined) return `${near.id} on the same machine is heard of, so its agent or its own link is down`;
    if (lost.length >= 2 && lost.length + 1 > there.length) {
      return `${lost.length} others were lost with it and ${there.length} are heard of: it may be the hub's own network`;
    }
    return undefined;
  }
}

/** Nodes that are lost within this long may have been lost by one cause. */
const TOGETHER_MS = 2 * PRESENCE_MS;
/** When a machine was started is told by two clocks, which may be set meanwhile. */
const BOOT_SLACK_MS = 60_000;
const SAME_AGENT = "its agent is the same as before: its link was down, or its machine stood still";

function joined(
  before: NodeView | undefined,
  { id, hostname }: Pick<NodeRecord, "id" | "hostname">,
  why: string,
): FleetChange | undefined {
  if (before === undefined) return { type: "node_joined", node: id, reason: `new, on ${hostname}` };
  if (before.state !== "offline") return undefined;
  // One that was stopped went and came by somebody's wish.
  return { type: "node_joined", node: id, reason: before.away === "lost" ? `back again; ${why}` : "back again" };
}

function backReason(before: NodeView | undefined, { instance, bootedAt }: NodeRecord): string {
  if (before?.instance === instance) return SAME_AGENT;
  if (before?.bootedAt === undefined || bootedAt === undefined) return "its agent was started anew";
  return Date.parse(bootedAt) - Date.parse(before.bootedAt) > BOOT_SLACK_MS
    ? `its machine was started anew at ${bootedAt}`
    : "its agent was started anew, its machine was not";
}

function iso(now: number): string {
  return new Date(now).toISOString();
}
