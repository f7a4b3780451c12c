/** The commands of a hub's project that may move: what {@linkcode openPlacements} needs of the hub, and its time. */
import { type Bucket, openBucket } from "../../nats/bucket.ts";
import type { Bus } from "../../nats/bus.ts";
import { cancelOn } from "../../nats/cancel.ts";
import { lastOf, STREAM } from "../../nats/streams.ts";
import { pause } from "../../os/pause.ts";
import type { Event } from "../../protocol/event.ts";
import { LEASE_MS } from "../../protocol/limits.ts";
import { Moving } from "../../protocol/moving.ts";
import { parseJson } from "../../protocol/parse.ts";
import { type CommandRecord, Result } from "../../protocol/run.ts";
import { storedResult } from "../../protocol/subjects.ts";
import { giveTo } from "../asking.ts";
import { BUCKETS } from "../buckets.ts";
import type { Commands } from "../commands.ts";
import type { Fleet } from "../fleet.ts";
import { openPlacements, type Placements } from "./placements.ts";

/** What is needed of the hub. */
export interface AtHub {
  readonly bus: Bus;
  readonly fleet: Fleet;
  readonly commands: Commands;
  readonly records: Bucket<CommandRecord>;
  readonly tell: (event: Event) => Promise<void>;
  /** Copies in a cluster. */
  readonly replicas: number;
  readonly now: () => number;
  readonly elapsed?: (() => number) | undefined;
  readonly leaseMs?: number | undefined;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

/** Leases are looked at this often: a part of their length. */
const TICKS_PER_LEASE = 15;

/** Opens them. Disposing it ends what is being done. */
export async function openPlacementsAtHub(hub: AtHub): Promise<Placements & AsyncDisposable> {
  const { bus, fleet, commands, records, replicas, elapsed = () => performance.now(), leaseMs = LEASE_MS } = hub;
  const placements = await openPlacements({
    ...hub,
    elapsed,
    leaseMs,
    bucket: await openBucket(bus, { ...BUCKETS.moving, schema: Moving, replicas }),
    nodes: () => fleet.nodes,
    give: (moving, node, lease) => giveTo(bus, { ...moving, node, lease }),
    cancelOn: (node, id) => cancelOn(bus, node, id),
    async resultOf(id, node) {
      const stored = await lastOf(bus, STREAM.results, storedResult(id, node));
      return stored === undefined ? undefined : parseJson(Result, stored.text, "result");
    },
    record: async (id) => commands.get(id) ?? await records.get(id),
  });
  const stop = new AbortController();
  const ticking = (async () => {
    while (!stop.signal.aborted) {
      await pause(leaseMs / TICKS_PER_LEASE, stop.signal);
      if (bus.up && !stop.signal.aborted) placements.tick();
    }
  })();
  return {
    ...placements,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await ticking;
      await placements.settled();
    },
  };
}
