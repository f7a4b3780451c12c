/**
 * Which of several hub processes leads: decided by each for itself, from one key that all of them see.
 *
 * Whoever leads writes the key again and again, each time only where nobody else has meanwhile. It may write whatever a leader
 * writes for a while after the moment at which it sent a write of the key that was stored. Whoever waits takes the key over
 * when it has seen it unchanged for longer than that. So no clock is compared with another: a write is seen after it was sent,
 * and both count from there by clocks that nobody sets. Who could not write the key in time, as its servers were electing, and
 * then can, was the only one all the while: its hub has only paused. Pure: events in, effects out.
 */

/** A hub process may write for this long after it sent the write that was stored… */
export const LEADS_MS = 4_500;
/** …and another one begins when it has seen the key unchanged for this long. The rest is for clocks that run unevenly. */
export const TERM_MS = 6_000;
/** Whoever leads writes the key this often… */
export const RENEW_MS = 1_500;
/** …and whoever waits reads it this often. */
export const READ_MS = 500;
/** After a read or write that failed. */
export const RETRY_MS = 250;
/** A hub that could not be started leaves it to another one for this long. */
export const REST_MS = 3_000;
/** Told to stop, a hub may finish for this long what it does. It needs no further write of the key for that. */
export const FINISH_MS = 2_000;

/** What one process knows. Times are of its own clock, which only goes forward. */
export interface LeaderState {
  readonly self: string;
  /** The key as it was first seen with this revision. Nobody holds it who has given it back. */
  readonly seen?: { readonly revision: number; readonly holder: string | undefined; readonly at: number };
  /** It may write until then. */
  readonly until: number;
  /** A write of its own may be stored or not. */
  readonly doubt: boolean;
  /** What it is asking the store, since when. */
  readonly asking?: { readonly what: "read" | "write" | "release"; readonly at: number };
  /** It does not read the key before then. */
  readonly next: number;
  /** It leaves the key to others until then. */
  readonly rest: number;
  /** What a leader runs. */
  readonly hub: "off" | "on" | "ending";
  /** How many it has begun. */
  readonly begun: number;
  readonly leaving: "no" | "yes" | "gone";
  /** Once it is leaving: its hub may write no longer than that. */
  readonly finish: number;
}

/** What happens to a process. */
export type LeaderEvent =
  | { readonly type: "tick" }
  | { readonly type: "read"; readonly revision: number; readonly holder: string | undefined }
  | { readonly type: "written"; readonly revision: number }
  /** Somebody else has written meanwhile. */
  | { readonly type: "refused" }
  /** Whether it was done is not known. */
  | { readonly type: "failed" }
  /** The hub of this number runs no more. */
  | { readonly type: "ended"; readonly begun: number; readonly failed: boolean }
  /** It is to stop, in order. */
  | { readonly type: "leave" };

/** What is to be done. */
export type LeaderEffect =
  | { readonly type: "read" }
  /** Names itself in the key, unless it was written since the revision. */
  | { readonly type: "write"; readonly revision: number }
  /** Deletes the key likewise: the next one may begin at once. */
  | { readonly type: "release"; readonly revision: number }
  | { readonly type: "begin"; readonly begun: number }
  | { readonly type: "end" }
  | { readonly type: "gone" };

/** A process that has seen nothing yet. */
export function newLeader(self: string): LeaderState {
  return {
    self,
    until: -Infinity,
    doubt: false,
    next: -Infinity,
    rest: -Infinity,
    hub: "off",
    begun: 0,
    leaving: "no",
    finish: Infinity,
  };
}

/** Whether it may write as the leader now. Nobody else may while this is so. */
export function leads({ until }: LeaderState, now: number): boolean {
  return now < until;
}

/** What a process knows after an event, and what it does. */
export function decide(
  state: LeaderState,
  event: LeaderEvent,
  now: number,
): { readonly state: LeaderState; readonly effects: readonly LeaderEffect[] } {
  const learnt = learn(state, event, now);
  const checked = learnt.seen?.holder === learnt.self ? learnt : { ...learnt, until: -Infinity };
  return act(checked, now);
}

function learn(state: LeaderState, event: LeaderEvent, now: number): LeaderState {
  const { asking, ...rest } = state;
  switch (event.type) {
    case "tick":
      return state;
    case "read": {
      const { revision, holder } = event;
      const known = state.seen;
      // A copy that lags behind tells nothing new.
      if (known !== undefined && revision < known.revision) return { ...rest, next: now + RETRY_MS };
      const seen = known?.revision === revision ? known : { revision, holder, at: now };
      return { ...rest, seen, doubt: false, next: holder === state.self ? now : now + READ_MS };
    }
    case "written": {
      const { revision } = event;
      const holder = asking?.what === "release" ? undefined : state.self;
      const until = holder === undefined ? -Infinity : (asking?.at ?? -Infinity) + LEADS_MS;
      return { ...rest, seen: { revision, holder, at: now }, until, doubt: false, next: now };
    }
    case "refused": {
      const { seen } = state;
      // Unless it was an own write before whose fate was not known, somebody else has the key. What it gave back it has not.
      const own = state.doubt && asking?.what !== "release";
      const others = own || seen === undefined ? {} : { seen: { ...seen, holder: undefined } };
      return { ...rest, ...others, doubt: true, next: now };
    }
    case "failed":
      return { ...rest, doubt: state.doubt || asking?.what !== "read", next: now + RETRY_MS };
    case "ended": {
      if (event.begun !== state.begun || state.hub === "off") return state;
      return { ...state, hub: "off", rest: event.failed ? now + REST_MS : state.rest };
    }
    case "leave":
      return state.leaving === "no" ? { ...state, leaving: "yes", finish: now + FINISH_MS } : state;
    default:
      return event satisfies never;
  }
}

function act(state: LeaderState, now: number): ReturnType<typeof decide> {
  const { seen, self, hub, asking, doubt, until, leaving } = state;
  const resting = now < state.rest;
  if (hub === "on" && (leaving !== "no" || seen?.holder !== self)) {
    const ended = act({ ...state, hub: "ending" }, now);
    return { ...ended, effects: [{ type: "end" }, ...ended.effects] };
  }
  const nothing = { state, effects: [] };
  if (asking !== undefined || leaving === "gone") return nothing;
  const ask = (what: "read" | "write" | "release", effect: LeaderEffect, change: Partial<LeaderState> = {}) => ({
    state: { ...state, ...change, asking: { what, at: now } },
    effects: [effect],
  });
  const leaves = leaving === "yes" && (hub === "off" || now >= state.finish);
  if (leaves || hub === "off" && resting) {
    // What the servers do not take just now is said again, but not for ever.
    if (seen?.holder === self && !(leaves && now >= state.finish + FINISH_MS)) {
      const release = { type: "release", revision: seen.revision } as const;
      return now < state.next ? nothing : ask("release", release, { until: -Infinity });
    }
    return leaves ? { state: { ...state, until: -Infinity, leaving: "gone" }, effects: [{ type: "gone" }] } : nothing;
  }
  const look = () => now < state.next ? nothing : ask("read", { type: "read" });
  if (seen === undefined || doubt) return look();
  const write = () => ask("write", { type: "write", revision: seen.revision });
  if (seen.holder === self) {
    if (hub === "off") {
      if (!leads(state, now)) return write();
      const begun = state.begun + 1;
      return { state: { ...state, hub: "on", begun }, effects: [{ type: "begin", begun }] };
    }
    return hub === "on" && now >= until - LEADS_MS + RENEW_MS ? write() : nothing;
  }
  if (hub !== "off") return nothing;
  const free = seen.holder === undefined || now - seen.at >= TERM_MS;
  return free ? write() : look();
}
