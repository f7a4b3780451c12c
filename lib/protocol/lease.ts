/**
 * Leases: a run that may move to another node goes on only as long as the hub says so. The node counts from the moment it
 * asked, the hub from the moment it answered, so the node is always through first.
 */
import * as v from "valibot";
import { CommandId } from "./id.ts";
import { LEASE_MS, LEASES_MAX } from "./limits.ts";

/** The number of an attempt, which is the epoch of its lease: each is granted once, and they only grow. */
export const Epoch = v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000_000));

/** A run under a lease. */
export const LeasedRun = v.object({ id: CommandId, epoch: Epoch });
/** A run under a lease. */
export type LeasedRun = v.InferOutput<typeof LeasedRun>;

/** Input of `lease.renew`: all runs of one node that are under a lease. */
export const RenewInput = v.strictObject({ runs: v.pipe(v.array(LeasedRun), v.maxLength(LEASES_MAX)) });
/** What `lease.renew` answers: ids of those that go on, and of those that must end. */
export const Renewed = v.object({ renewed: v.array(v.string()), lost: v.array(v.string()) });
/** What `lease.renew` answers. */
export type Renewed = v.InferOutput<typeof Renewed>;

/**
 * How long a lease may be, as a node takes it. Of the shortest a guard has 0.4 s to find and kill a run before the hub gives it
 * to another node; on a busy machine it needs some of that.
 */
export const LeaseMs = v.pipe(v.number(), v.integer(), v.minValue(3_000), v.maxValue(10 * 60_000));

/** What follows from the length of a lease, in ms. */
export interface LeaseTimes {
  /** It is renewed this often. */
  readonly renewMs: number;
  /** Without a renewal the node asks the run to end now… */
  readonly stopMs: number;
  /** …and ends it by force now, so that it is over before the lease is. Where the node's agent stands still, its guard asks… */
  readonly killMs: number;
  /** …and ends it by force now. */
  readonly guardMs: number;
  /** The hub gives the command to another node no sooner than this after it answered a renewal. */
  readonly regrantMs: number;
}

/**
 * The times of a lease: of one of 15 s, 5, 12, 14, 15 and 17 s.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { leaseTimes } from "./lease.ts";
 *
 * const { renewMs, stopMs, killMs, guardMs, regrantMs } = leaseTimes();
 * assert.deepEqual([renewMs, stopMs, killMs, guardMs, regrantMs], [5_000, 12_000, 14_000, 15_000, 17_000]);
 * ```
 */
export function leaseTimes(leaseMs: number = LEASE_MS): LeaseTimes {
  const part = leaseMs / 15;
  return { renewMs: 5 * part, stopMs: 12 * part, killMs: 14 * part, guardMs: 15 * part, regrantMs: 17 * part };
}
