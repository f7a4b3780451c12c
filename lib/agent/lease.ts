/**
 * The leases of a node's runs. Pure: `(leases, event, now) → {leases, effects}`; `now` is in ms of a clock that only grows,
 * also while the machine sleeps. A lease counts from the moment its newest answered renewal was sent, and whatever happens is
 * looked at only after what has lapsed by then: a node that was stopped and goes on ends its runs before it says anything.
 */
import { type LeasedRun, leaseTimes } from "../protocol/lease.ts";

/** A lease. */
export interface Lease extends LeasedRun {
  readonly leaseMs: number;
  /** When its newest answered renewal was sent; before the first, when it was taken. */
  readonly since: number;
  /**
   * `asked`: not begun, so that nothing may start. `held`. `over`: its run has ended, and it is kept until the hub knows.
   * `ending`: its run is being ended, by force from `killAt` on. `killed`.
   */
  readonly phase: "asked" | "held" | "over" | "ending" | "killed";
  readonly killAt?: number;
}

/** All leases of a node. */
export interface Leases {
  readonly byId: ReadonlyMap<string, Lease>;
  /** Renewals that are under way, by number. */
  readonly asked: ReadonlyMap<number, { readonly sentAt: number; readonly runs: readonly LeasedRun[] }>;
  readonly nextNumber: number;
  /** When they are renewed next. */
  readonly renewAt: number;
}

/** What happens. */
export type LeaseEvent =
  | { readonly type: "taken"; readonly run: LeasedRun; readonly leaseMs: number }
  | {
    readonly type: "answered";
    readonly number: number;
    readonly renewed: readonly string[];
    readonly lost: readonly string[];
  }
  /** No answer came to a renewal. */
  | { readonly type: "failed"; readonly number: number }
  /** A run is over and recorded. `settled`: its result is what the hub waits for. */
  | { readonly type: "ended"; readonly id: string; readonly settled: boolean }
  | { readonly type: "tick" };

/** What is to be done. */
export type LeaseEffect =
  | { readonly type: "renew"; readonly number: number; readonly runs: readonly LeasedRun[]; readonly withinMs: number }
  /** The run may start. */
  | { readonly type: "begin"; readonly id: string }
  /** The run must end: its lease was not renewed, or the hub has taken it back. */
  | { readonly type: "stop"; readonly id: string; readonly why: "lapsed" | "lost" }
  /** It must be over now. */
  | { readonly type: "kill"; readonly id: string };

/** No leases. */
export const NO_LEASES: Leases = { byId: new Map(), asked: new Map(), nextNumber: 1, renewAt: Infinity };

/** A renewal that was not answered is tried again after this part of the time between two. */
const AGAIN = 1 / 5;

/** The leases after one more event. */
export function decide(
  leases: Leases,
  event: LeaseEvent,
  now: number,
): { readonly leases: Leases; readonly effects: readonly LeaseEffect[] } {
  const effects: LeaseEffect[] = [];
  const byId = new Map(leases.byId);
  const asked = new Map(leases.asked);
  let { nextNumber, renewAt } = leases;
  lapse(byId, effects, now);
  switch (event.type) {
    case "taken": {
      const { run, leaseMs } = event;
      byId.set(run.id, { ...run, leaseMs, since: now, phase: "asked" });
      renewAt = now;
      break;
    }
    case "answered": {
      const renewal = asked.get(event.number);
      asked.delete(event.number);
      for (const { id, epoch } of renewal?.runs ?? []) {
        const lease = byId.get(id);
        if (renewal === undefined || lease?.epoch !== epoch) continue;
        if (event.renewed.includes(id)) renewed(byId, effects, lease, renewal.sentAt, now);
        else if (event.lost.includes(id)) lost(byId, effects, lease, now);
      }
      break;
    }
    case "failed":
      asked.delete(event.number);
      renewAt = Math.min(renewAt, now + AGAIN * renewMs(byId));
      break;
    case "ended": {
      const lease = byId.get(event.id);
      if (lease === undefined) break;
      if (event.settled && (lease.phase === "asked" || lease.phase === "held")) {
        byId.set(event.id, { ...lease, phase: "over" });
      } else byId.delete(event.id);
      break;
    }
    case "tick":
      break;
    default:
      event satisfies never;
  }
  const runs = [...byId.values()].filter(({ phase }) => phase === "asked" || phase === "held" || phase === "over");
  if (runs.length === 0) renewAt = Infinity;
  else if (event.type === "tick" && now >= renewAt) {
    const withinMs = renewMs(byId);
    const number = nextNumber++;
    const told = runs.map(({ id, epoch }) => ({ id, epoch }));
    asked.set(number, { sentAt: now, runs: told });
    effects.push({ type: "renew", number, runs: told, withinMs });
    renewAt = now + withinMs;
  }
  return { leases: { byId, asked, nextNumber, renewAt }, effects };
}

/** How long a run may go on without another renewal, where nothing of this process runs. */
export interface RunBound {
  readonly id: string;
  readonly askMs: number;
  readonly killMs: number;
}

/** The bounds of all runs that have begun and not ended. */
export function boundsOf({ byId }: Leases, now: number): RunBound[] {
  return [...byId.values()].filter(({ phase }) => phase !== "asked" && phase !== "over").map(
    ({ id, since, leaseMs }) => {
      const { killMs, guardMs } = leaseTimes(leaseMs);
      return { id, askMs: since + killMs - now, killMs: since + guardMs - now };
    },
  );
}

/** The time between two renewals: as the shortest lease needs it. */
function renewMs(byId: ReadonlyMap<string, Lease>): number {
  return Math.min(...[...byId.values()].map(({ leaseMs }) => leaseTimes(leaseMs).renewMs));
}

/** What time alone has ended. */
function lapse(byId: Map<string, Lease>, effects: LeaseEffect[], now: number): void {
  for (const lease of [...byId.values()]) {
    const { id, phase, since, leaseMs } = lease;
    const { stopMs, killMs } = leaseTimes(leaseMs);
    const lapsed = now - since >= stopMs;
    if (phase === "over" && lapsed) byId.delete(id);
    if ((phase === "asked" || phase === "held") && lapsed) {
      byId.set(id, { ...lease, phase: "ending", killAt: since + killMs });
      effects.push({ type: "stop", id, why: "lapsed" });
    }
    const { phase: then, killAt = Infinity } = byId.get(id) ?? lease;
    if (then === "ending" && now >= killAt) {
      byId.set(id, { ...lease, phase: "killed" });
      effects.push({ type: "kill", id });
    }
  }
}

function renewed(byId: Map<string, Lease>, effects: LeaseEffect[], lease: Lease, sentAt: number, now: number): void {
  const { id, phase, since, leaseMs } = lease;
  if (phase === "ending" || phase === "killed") return;
  // An answer that took too long is as none.
  if (now - sentAt >= leaseTimes(leaseMs).stopMs) return;
  byId.set(id, { ...lease, since: Math.max(since, sentAt), phase: phase === "asked" ? "held" : phase });
  if (phase === "asked") effects.push({ type: "begin", id });
}

function lost(byId: Map<string, Lease>, effects: LeaseEffect[], lease: Lease, now: number): void {
  const { id, phase, since, leaseMs } = lease;
  const { stopMs, killMs } = leaseTimes(leaseMs);
  if (phase === "over") byId.delete(id);
  if (phase !== "asked" && phase !== "held") return;
  byId.set(id, { ...lease, phase: "ending", killAt: Math.min(since + killMs, now + killMs - stopMs) });
  effects.push({ type: "stop", id, why: "lost" });
}
