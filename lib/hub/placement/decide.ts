/**
 * On which node a command that may move runs. Pure: `(placing, event, now) → {placing, effects}`, of one command; `now` is in
 * ms of a clock that only grows. Whoever applies the effects does so in their order and stops at the first that fails.
 *
 * Each attempt is granted to one node under an epoch, which is stored before the node is asked. A node starts nothing before
 * its first renewal is answered. So an offer can be taken back at will, while a lease that was renewed is waited out.
 */
import type { WireError } from "../../protocol/error.ts";
import type { LeaseTimes } from "../../protocol/lease.ts";
import { MOVES_MAX, OFFER_MS } from "../../protocol/limits.ts";
import type { Moving } from "../../protocol/moving.ts";
import type { TerminalState } from "../../protocol/state.ts";

/** What is known of a command that may move. */
export interface Placing {
  /** The highest one granted; 0 before the first. */
  readonly epoch: number;
  /** Whom it was granted to. */
  readonly node?: string | undefined;
  /** How often a node lost it that had it. */
  readonly moves: number;
  /** How many nodes in a row did not take it. */
  readonly refusals: number;
  /** Somebody wants it to end. */
  readonly cancel: boolean;
  readonly phase: Phase;
}

/** Where it stands. */
export type Phase =
  /** No node has it. After refusals nobody is asked before `from`. */
  | { readonly name: "waiting"; readonly from?: number }
  /** A node was asked and has not begun its lease. */
  | { readonly name: "offered"; readonly at: number }
  /** A node has a lease, or may have: `told` once that is known. */
  | { readonly name: "held"; readonly renewedAt: number; readonly told: boolean }
  /** The lease is over, and it is being looked up whether its result has come. */
  | { readonly name: "closing"; readonly silentMs?: number };

/** The part of it that outlives the hub. */
export type Kept = Moving["placing"];

/** What happens to it. */
export type PlacingEvent =
  /** A node matches, is there, and has room for it. */
  | { readonly type: "fit"; readonly node: string }
  /** The node that was asked did not take it. Where that is final no other would. */
  | {
    readonly type: "refused";
    readonly node: string;
    readonly epoch: number;
    readonly error: WireError;
    final: boolean;
  }
  | { readonly type: "renewed"; readonly node: string; readonly epoch: number }
  /** A run has ended: the node said so. */
  | {
    readonly type: "result";
    readonly node: string;
    readonly epoch: number;
    readonly state: TerminalState;
    readonly error?: WireError;
  }
  /** No result of this epoch has come to the hub. */
  | { readonly type: "no_result"; readonly epoch: number }
  | { readonly type: "cancel" }
  /** Its deadline has passed. */
  | { readonly type: "overdue" }
  | { readonly type: "tick" };

/** What everybody is told of it. */
export type Fact =
  | { readonly type: "placed"; readonly node: string; readonly epoch: number }
  | { readonly type: "moving"; readonly node: string; readonly epoch: number; readonly reason: string }
  | {
    readonly type: "ended";
    readonly epoch: number;
    readonly state: "cancelled" | "expired" | "refused" | "interrupted";
    readonly error: WireError;
  };

/** What is to be done. */
export type PlacingEffect =
  /** Keep it as it now is; nothing behind this may happen before that is done. */
  | { readonly type: "store" }
  /** Look for a node that fits now, best not this one. */
  | { readonly type: "choose"; readonly not?: string }
  | { readonly type: "give"; readonly node: string; readonly epoch: number }
  | { readonly type: "seek_result"; readonly node: string; readonly epoch: number }
  | { readonly type: "ask_cancel"; readonly node: string }
  | { readonly type: "tell"; readonly fact: Fact }
  /** Forget it: it has ended. */
  | { readonly type: "drop" };

/** What {@linkcode decide} concludes; without `placing` the command has ended. */
export interface Decision {
  readonly placing: Placing | undefined;
  readonly effects: readonly PlacingEffect[];
}

const REFUSED_MS = { first: 250, most: 5_000 };

/** A command that was just submitted. */
export const SUBMITTED: Placing = { epoch: 0, moves: 0, refusals: 0, cancel: false, phase: { name: "waiting" } };

/**
 * A command as another hub left it. Whoever may have a lease has just renewed it: nobody knows better. What waits may have a
 * result that came meanwhile.
 */
export function revived({ open, ...kept }: Kept, now: number): Decision {
  const { epoch, node } = kept;
  const as = (phase: Phase): Placing => ({ ...kept, refusals: 0, phase });
  if (open) return { placing: as({ name: "held", renewedAt: now, told: false }), effects: [] };
  return node === undefined
    ? { placing: as({ name: "waiting" }), effects: [{ type: "choose" }] }
    : { placing: as({ name: "closing" }), effects: [{ type: "seek_result", node, epoch }] };
}

/** What is to be kept of it. */
export function keptOf({ epoch, node, moves, cancel, phase }: Placing): Kept {
  const open = phase.name === "offered" || phase.name === "held" || phase.name === "closing";
  return { epoch, ...(node === undefined ? {} : { node }), moves, cancel, open };
}

/** Whether a node has the lease of an epoch, as far as the hub is concerned. */
export function holds({ epoch, node, phase }: Placing, holder: string, held: number): boolean {
  return phase.name === "held" && node === holder && epoch === held;
}

/** What follows from one more event. */
export function decide(placing: Placing, event: PlacingEvent, now: number, { regrantMs }: LeaseTimes): Decision {
  const { phase, epoch, node } = placing;
  const same: Decision = { placing, effects: [] };
  const isNewest = "epoch" in event && event.epoch === epoch && (!("node" in event) || event.node === node);
  switch (event.type) {
    case "fit":
      return phase.name !== "waiting" || (phase.from ?? now) > now ? same : granted(placing, event.node, now);
    case "refused":
      if (!isNewest || phase.name !== "offered") return same;
      return event.final ? ended(placing, "refused", event.error) : refused(placing, now);
    case "renewed":
      if (!isNewest || (phase.name !== "offered" && phase.name !== "held")) return same;
      return {
        placing: { ...placing, refusals: 0, phase: { name: "held", renewedAt: now, told: true } },
        effects: [
          ...(phase.name === "held" && phase.told ? [] : [tell({ type: "placed", node: event.node, epoch })]),
          // The wish may not have reached it.
          ...(placing.cancel ? [{ type: "ask_cancel" as const, node: event.node }] : []),
        ],
      };
    case "result":
      // Of an older epoch it is kept and shown, and changes nothing here.
      if (!isNewest) return same;
      if (event.state !== "interrupted") {
        // Its outcome counts only as that of an attempt which was told of.
        const told = phase.name === "held" && phase.told;
        const effects: PlacingEffect[] = told ? [] : [tell({ type: "placed", node: event.node, epoch })];
        return { placing: undefined, effects: [...effects, { type: "drop" }] };
      }
      // Where the lease was given up before, this is its end, told late.
      if (phase.name === "waiting") return same;
      return phase.name === "offered"
        ? refused(placing, now)
        : lost(placing, event.error?.message ?? "it was interrupted");
    case "no_result":
      if (!isNewest || phase.name !== "closing") return same;
      return phase.silentMs === undefined && !placing.cancel
        ? { placing: { ...placing, phase: { name: "waiting" } }, effects: [choose(node)] }
        : lost(placing, `not heard of for ${Math.round((phase.silentMs ?? 0) / 1_000)} s`);
    case "cancel":
      return cancelled(placing);
    case "overdue":
      return phase.name === "waiting" ? ended(placing, "expired", OVERDUE) : same;
    case "tick":
      return ticked(placing, now, regrantMs);
    default:
      return event satisfies never;
  }
}

const OVERDUE: WireError = { code: "timeout", message: "No node that it was meant for had room before its deadline" };
const CANCELLED: WireError = { code: "cancelled", message: "Cancelled on request" };

const tell = (fact: Fact): PlacingEffect => ({ type: "tell", fact });

function granted(placing: Placing, node: string, now: number): Decision {
  const epoch = placing.epoch + 1;
  return {
    placing: { ...placing, epoch, node, phase: { name: "offered", at: now } },
    effects: [{ type: "store" }, { type: "give", node, epoch }],
  };
}

/** Its offer is void, whatever the node makes of it: it was not renewed, and will not be. */
function refused(placing: Placing, now: number): Decision {
  const { node, refusals } = placing;
  const again = Math.min(REFUSED_MS.first * 2 ** (refusals - 1), REFUSED_MS.most);
  const phase: Phase = refusals === 0 ? { name: "waiting" } : { name: "waiting", from: now + again };
  return {
    placing: { ...placing, refusals: refusals + 1, phase },
    effects: refusals === 0 ? [choose(node)] : [],
  };
}

/** A node that had it has it no more, and no outcome of it is known. */
function lost(placing: Placing, reason: string): Decision {
  const { node = "", epoch, cancel } = placing;
  const moves = placing.moves + 1;
  if (cancel) return ended(placing, "cancelled", CANCELLED);
  if (moves >= MOVES_MAX) {
    const message = `It was lost with ${moves} nodes and is not started again; the last one was ${node}: ${reason}`;
    return ended(placing, "interrupted", { code: "unavailable", message });
  }
  return {
    placing: { ...placing, moves, refusals: 0, phase: { name: "waiting" } },
    effects: [{ type: "store" }, tell({ type: "moving", node, epoch, reason }), choose(node)],
  };
}

function cancelled(placing: Placing): Decision {
  const { phase, node } = placing;
  const asked: PlacingEffect[] = node === undefined ? [] : [{ type: "ask_cancel", node }];
  switch (phase.name) {
    case "waiting":
      return ended(placing, "cancelled", CANCELLED);
    case "offered": {
      // Its lease has not begun, and now will not.
      const { effects } = ended(placing, "cancelled", CANCELLED);
      return { placing: undefined, effects: [...effects, ...asked] };
    }
    case "held":
    case "closing":
      return { placing: { ...placing, cancel: true }, effects: [{ type: "store" }, ...asked] };
    default:
      return phase satisfies never;
  }
}

function ticked(placing: Placing, now: number, regrantMs: number): Decision {
  const { phase, epoch, node = "" } = placing;
  switch (phase.name) {
    case "waiting": {
      if (phase.from === undefined || phase.from > now) return { placing, effects: [] };
      return { placing: { ...placing, phase: { name: "waiting" } }, effects: [choose(node)] };
    }
    case "offered":
      return now - phase.at < OFFER_MS ? { placing, effects: [] } : refused(placing, now);
    case "held": {
      const silentMs = now - phase.renewedAt;
      if (silentMs < regrantMs) return { placing, effects: [] };
      return {
        placing: { ...placing, phase: { name: "closing", silentMs } },
        effects: [{ type: "seek_result", node, epoch }],
      };
    }
    case "closing":
      return { placing, effects: [] };
    default:
      return phase satisfies never;
  }
}

function choose(not: string | undefined): PlacingEffect {
  return not === undefined ? { type: "choose" } : { type: "choose", not };
}

function ended(placing: Placing, state: (Fact & { type: "ended" })["state"], error: WireError): Decision {
  return {
    placing: undefined,
    effects: [tell({ type: "ended", epoch: placing.epoch, state, error }), { type: "drop" }],
  };
}
