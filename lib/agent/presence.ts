/** How a node is known: it registers its record when that changes, and sends a heartbeat every 5 s. */
import type { Bus } from "../nats/bus.ts";
import { pause } from "../os/pause.ts";
import { XtaskError } from "../protocol/error.ts";
import { HEARTBEAT_MS } from "../protocol/limits.ts";
import type { Heartbeat, Load, NodeRecord } from "../protocol/node.ts";
import { heartbeatSubject, registerSubject } from "../protocol/subjects.ts";

/** Options of {@linkcode startPresence}. */
export interface PresenceOptions {
  readonly bus: Bus;
  readonly record: () => NodeRecord;
  /** Whether the hub has the record as it is now. */
  readonly registered: boolean;
  readonly now: () => number;
  readonly signal: AbortSignal;
  /** Hears that another machine holds this id. */
  readonly onConflict: (error: XtaskError) => void;
}

/** A link that can be made at all is there within this long. */
const LINK_MS = 1_000;
const LINK_AGAIN_MS = 50;

/** Tells the hub about this node. */
export interface Presence {
  /** Sends a heartbeat now, and the record if it has changed: after a run began or ended, a label was set, … */
  changed(): void;
}

/**
 * Registers this node: the first time of an agent claims the id, from then on the hub has the record.
 *
 * @returns Whether the hub took it; false where no hub process answers just now
 * @throws {XtaskError} `conflict` where a living agent holds the id
 */
export async function register(bus: Bus, record: NodeRecord): Promise<boolean> {
  try {
    await bus.request(registerSubject(record.id), JSON.stringify(record), { timeoutMs: 5_000 });
    return true;
  } catch (error) {
    const { code } = XtaskError.from(error);
    if (code !== "unavailable" && code !== "timeout") throw error;
    return false;
  }
}

/**
 * Registers a leaf node for the first time. Its own server is up before that has a link, which takes a moment; without one
 * it starts alone.
 */
export async function registerOverLink(bus: Bus, record: () => NodeRecord, signal: AbortSignal): Promise<boolean> {
  const until = performance.now() + LINK_MS;
  while (!await register(bus, record())) {
    if (signal.aborted || performance.now() >= until) return false;
    await pause(LINK_AGAIN_MS, signal);
  }
  return true;
}

/** Starts the heartbeats; the first one goes out as soon as the hub has the record. */
export function startPresence(options: PresenceOptions): Presence {
  const { bus, record, now, signal, onConflict } = options;
  /** Digest of the record that the hub has. Before there is one, the id may be another machine's: then no heartbeat. */
  let registered = options.registered ? digestOf(record()) : undefined;
  let registering = false;
  let scheduled = false;
  const announce = async (full: NodeRecord, digest: string) => {
    if (registering) return;
    registering = true;
    try {
      if (!await register(bus, full)) return;
      const first = registered === undefined;
      registered = digest;
      if (first) beat();
    } catch (error) {
      onConflict(XtaskError.from(error));
    } finally {
      registering = false;
    }
  };
  const beat = () => {
    scheduled = false;
    if (!bus.up) return;
    const full: NodeRecord = signal.aborted ? { ...record(), state: "offline" } : record();
    const digest = digestOf(full);
    const { id, instance, state, slots, queued, load, running, link } = full;
    const heartbeat: Heartbeat = {
      id,
      instance,
      at: new Date(now()).toISOString(),
      digest,
      state,
      slots,
      queued,
      load,
      running,
      link,
    };
    if (registered !== undefined) bus.publish(heartbeatSubject(id), JSON.stringify(heartbeat));
    if (digest !== registered && !signal.aborted) void announce(full, digest);
  };
  // Machines that were started together do not beat together.
  const timer = setInterval(beat, HEARTBEAT_MS * (0.95 + Math.random() * 0.1));
  signal.addEventListener("abort", () => {
    clearInterval(timer);
    beat();
  }, { once: true });
  beat();
  return {
    changed() {
      // Many runs ending at once are one heartbeat.
      if (scheduled || signal.aborted) return;
      scheduled = true;
      setTimeout(() => signal.aborted || beat(), 50);
    },
  };
}

/** Changes when something in the record does that heartbeats do not carry. */
function digestOf(record: NodeRecord): string {
  const { capabilities, tasks, labels, version, slots, state, hostname, schedules } = record;
  const draining = state === "draining";
  const text = JSON.stringify([capabilities, tasks, labels, version, slots.total, draining, hostname, schedules]);
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(16);
}

/** How busy this machine is right now. */
export function loadHere(): Load {
  const { total, available } = Deno.systemMemoryInfo();
  return {
    one: Deno.loadavg()[0] ?? 0,
    cores: navigator.hardwareConcurrency,
    memoryBytes: total,
    memoryFreeBytes: available,
  };
}
