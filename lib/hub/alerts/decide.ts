/**
 * When an alert about a node begins and ends. Pure: `(watch, event, now) → {watch, effects}`; what is true of the node now is
 * compared with what has been told, so each alert is told once, and its end is.
 */
import type { AlertKind, AlertRecord } from "../../protocol/alert.ts";
import { countOf, type Durations, percentile, withDuration } from "../../protocol/durations.ts";
import type { Metrics, Trouble } from "../../protocol/metrics.ts";
import { HUB_AUTHOR } from "../../protocol/id.ts";
import { inBytes, inTime } from "./words.ts";

/** What is known of a node that alerts depend on. Small, however long the node lives. */
export interface Watch {
  readonly node: string;
  /** Not heard of since then, though nobody stopped it. */
  readonly awaySince?: number;
  /** What is known beside that it is away. */
  readonly awayHint?: string;
  /** How far its clock is ahead, at the last heartbeats. */
  readonly skewsMs: readonly number[];
  readonly disk?: Metrics["disk"];
  /** What it cannot write. */
  readonly troubles: readonly Trouble[];
  readonly backlogs: readonly number[];
  /** What runs there, by command. */
  readonly running: Readonly<Record<string, { readonly what: string; readonly startedAt: number }>>;
  /** How long what took there before. */
  readonly usual: Readonly<Record<string, Durations>>;
  /** What has been told and is not over. */
  readonly open: Readonly<Record<string, Condition>>;
}

/** Something that a person should know, true as long as it lasts. */
export interface Condition {
  readonly key: string;
  readonly kind: AlertKind;
  readonly severity: AlertRecord["severity"];
  readonly message: string;
}

/** What is heard of a node. Times are in ms since 1970. */
export type WatchEvent =
  | { readonly type: "heard"; readonly at: number; readonly running: readonly string[] }
  | { readonly type: "stopped" }
  | {
    readonly type: "lost";
    readonly since: number;
    /** What else is known of why. */
    readonly hint?: string;
    /** Whether it does without the hub. */
    readonly worksOn?: boolean;
  }
  /** It is heard of again, and why it was not. */
  | { readonly type: "back"; readonly reason: string }
  | { readonly type: "measured"; readonly sample: Pick<Metrics, "disk" | "backlogBytes" | "troubles"> }
  | { readonly type: "started"; readonly command: string; readonly what: string; readonly at: number }
  | {
    readonly type: "ended";
    readonly command: string;
    readonly what: string;
    /** Undefined where it tells nothing of how long it takes: it failed or was cancelled. */
    readonly durationMs: number | undefined;
  }
  | { readonly type: "tick" };

/** What is to be told. */
export type WatchEffect =
  | { readonly type: "open"; readonly condition: Condition }
  | {
    readonly type: "resolve";
    readonly key: string;
    /** What is known now that was not when it was told. */
    readonly because?: string;
  };

const WORKS_ON = "If its machine is up it works on alone, and hands over when it is back";
/** A node that is late this long is gone: a restart or a lost link is over by then. */
export const GONE_MS = 5 * 60_000;
/** Clocks that differ by more are told; under half of it again, no more. Heartbeats are underway for far less. */
export const SKEW_MS = 2_000;
const SKEWS = 3;
const DISK = { warning: 0.05, critical: 0.01, enough: 0.07, largeBytes: 50 * 2 ** 30, smallBytes: 2 ** 30 };
/** Less than that is a burst of output on its way. */
export const BACKLOG_BYTES = 8 * 2 ** 20;
const BACKLOGS = 4;
/** A run is stuck past three times what 9 of 10 took, told from so many, and never before a minute. */
export const STUCK = { times: 3, known: 5, leastMs: 60_000 };
const RUNNING_MAX = 512;
const USUAL_MAX = 100;
/** A run's start and the heartbeat that names it may cross. */
const RUNNING_SLACK_MS = 30_000;

/** A node of which nothing is known. */
export function newWatch(node: string, open: Watch["open"] = {}, awaySince?: number): Watch {
  return {
    node,
    skewsMs: [],
    troubles: [],
    backlogs: [],
    running: {},
    usual: {},
    open,
    ...(awaySince === undefined ? {} : { awaySince }),
  };
}

/** The watch after one more event, and what there is to tell. */
export function decide(watch: Watch, event: WatchEvent, now: number): { watch: Watch; effects: WatchEffect[] } {
  const after = learn(watch, event, now);
  const conditions = conditionsOf(after, now);
  const effects: WatchEffect[] = [];
  const open: Record<string, Condition> = {};
  for (const condition of conditions) {
    const told = after.open[condition.key];
    // What it said first stands, until it matters more or less: amounts change all the time.
    open[condition.key] = told?.severity === condition.severity ? told : condition;
    if (told?.severity !== condition.severity) effects.push({ type: "open", condition });
  }
  for (const [key, { kind }] of Object.entries(after.open)) {
    if (Object.hasOwn(open, key)) continue;
    const because = event.type === "back" && kind === "node_away" ? { because: event.reason } : {};
    effects.push({ type: "resolve", key, ...because });
  }
  return { watch: { ...after, open }, effects };
}

/** What an event teaches, without a conclusion: for events of long ago, which are read again when the hub starts. */
export function learn(watch: Watch, event: WatchEvent, now: number): Watch {
  const { awaySince: _, awayHint: __, ...present } = watch;
  switch (event.type) {
    case "heard":
      return {
        ...present,
        skewsMs: [...watch.skewsMs, event.at - now].slice(-SKEWS),
        running: Object.fromEntries(
          Object.entries(watch.running).filter(([command, { startedAt }]) =>
            event.running.includes(command) || now - startedAt < RUNNING_SLACK_MS
          ),
        ),
      };
    case "stopped":
      return { ...present, skewsMs: [], backlogs: [], running: {} };
    case "lost": {
      const hint = [event.hint, event.worksOn ? WORKS_ON : undefined].filter((one) => one !== undefined).join(". ");
      return {
        ...watch,
        awaySince: watch.awaySince ?? event.since,
        ...(hint === "" ? {} : { awayHint: hint }),
        skewsMs: [],
      };
    }
    case "back":
      return present;
    case "measured": {
      const { disk: ___, ...rest } = watch;
      const { disk, backlogBytes, troubles = [] } = event.sample;
      return {
        ...rest,
        troubles,
        backlogs: [...watch.backlogs, backlogBytes].slice(-BACKLOGS),
        ...(disk === undefined ? {} : { disk }),
      };
    }
    case "started": {
      // A clock that is ahead tells of a start to come; the run would be held to be there until then.
      const startedAt = Math.min(event.at, now);
      return {
        ...watch,
        running: bounded({ ...watch.running, [event.command]: { what: event.what, startedAt } }, RUNNING_MAX),
      };
    }
    case "ended": {
      const { [event.command]: ____, ...running } = watch.running;
      if (event.durationMs === undefined) return { ...watch, running };
      const { [event.what]: known = {}, ...others } = watch.usual;
      return {
        ...watch,
        running,
        usual: bounded({ ...others, [event.what]: withDuration(known, event.durationMs) }, USUAL_MAX),
      };
    }
    case "tick":
      return watch;
    default:
      return event satisfies never;
  }
}

/** The newest of them. */
function bounded<T>(all: Readonly<Record<string, T>>, most: number): Readonly<Record<string, T>> {
  const entries = Object.entries(all);
  return entries.length <= most ? all : Object.fromEntries(entries.slice(-most));
}

function conditionsOf(watch: Watch, now: number): Condition[] {
  return [
    away(watch, now),
    skewed(watch),
    diskLow(watch),
    backlogGrowing(watch),
    ...unwritten(watch),
    ...stuck(watch, now),
  ]
    .filter((condition) => condition !== undefined);
}

function away({ node, awaySince, awayHint }: Watch, now: number): Condition | undefined {
  if (awaySince === undefined) return undefined;
  const gone = now - awaySince >= GONE_MS;
  const since = new Date(awaySince).toISOString();
  const hint = awayHint === undefined ? "" : `. ${awayHint}`;
  return {
    key: `node_away.${node}`,
    kind: "node_away",
    severity: gone ? "critical" : "warning",
    message: gone
      ? `${node} is gone: not heard of since ${since}. Its machine, its agent or its link is down; which, can be told ` +
        `when it is back${hint}`
      : `${node} is late: not heard of since ${since}${hint}`,
  };
}

function skewed({ node, skewsMs, open }: Watch): Condition | undefined {
  const key = `clock_skew.${node}`;
  const least = Object.hasOwn(open, key) ? SKEW_MS / 2 : SKEW_MS;
  // While it is away, or after too few heartbeats, what was told stands.
  if (skewsMs.length < SKEWS) return open[key];
  const middle = [...skewsMs].sort((a, b) => a - b)[(SKEWS - 1) / 2] ?? 0;
  if (Math.abs(middle) <= least) return undefined;
  const amount = `${inTime(Math.abs(middle))} ${middle > 0 ? "ahead of" : "behind"} the hub's`;
  return {
    key,
    kind: "clock_skew",
    severity: "warning",
    message: `The clock of ${node} is ${amount}: times that it tells are off by as much. Is its time service running?`,
  };
}

function diskLow({ node, disk, open }: Watch): Condition | undefined {
  const key = `disk_low.${node}`;
  if (disk === undefined) return open[key];
  const { usedBytes, freeBytes } = disk;
  const share = usedBytes + freeBytes > 0 ? freeBytes / (usedBytes + freeBytes) : 0;
  // Five in a hundred of a large disk is plenty.
  const low = freeBytes < DISK.smallBytes || (share < DISK.warning && freeBytes < DISK.largeBytes);
  const stays = Object.hasOwn(open, key) && share < DISK.enough && freeBytes < DISK.largeBytes;
  if (!low && !stays) return undefined;
  const critical = share < DISK.critical && freeBytes < DISK.smallBytes;
  return {
    key,
    kind: "disk_low",
    severity: critical ? "critical" : "warning",
    message: `${node} has ${inBytes(freeBytes)} of disk left (${(100 * share).toFixed(1)} %): free some space where ${
      node === HUB_AUTHOR ? "the hub's store is" : "the folder that it offers is, or its own files"
    }`,
  };
}

function backlogGrowing({ node, backlogs, open }: Watch): Condition | undefined {
  const key = `outbox_growing.${node}`;
  const last = backlogs.at(-1) ?? 0;
  const grows = backlogs.length === BACKLOGS && backlogs.every((bytes, n) => n === 0 || bytes > (backlogs[n - 1] ?? 0));
  if (!(grows && last > BACKLOG_BYTES) && !(Object.hasOwn(open, key) && last > BACKLOG_BYTES / 2)) return undefined;
  return {
    key,
    kind: "outbox_growing",
    severity: "warning",
    message: `${node} has ${inBytes(last)} of reports that the hub has not taken yet, and more come than go`,
  };
}

function unwritten({ node, troubles, open, awaySince }: Watch): Condition[] {
  const kind = "write_failing" as const;
  // Nobody knows what a node that is not heard of can write.
  if (awaySince !== undefined) return Object.values(open).filter((condition) => condition.kind === kind);
  return troubles.map(({ of, reason }) => {
    const [what, costs] = of === "journal"
      ? [`The journal of ${node}`, "it takes no new commands"]
      : node === HUB_AUTHOR
      ? ["The hub's store", "it acknowledges nothing, and nodes keep what they report"]
      : [`The store of ${node}'s own server`, "its reports wait in its journal"];
    return {
      key: `${kind}.${of}.${node}`,
      kind,
      severity: "critical" as const,
      message:
        `${what} cannot be written (${reason}): ${costs}. Is its disk full? Once there is room it goes on by itself`,
    };
  });
}

function stuck({ node, running, usual, open, awaySince }: Watch, now: number): Condition[] {
  return Object.entries(running).flatMap(([command, { what, startedAt }]) => {
    const key = `run_stuck.${command}.${node}`;
    // Nobody knows what goes on on a node that is not heard of.
    if (awaySince !== undefined) return open[key] ?? [];
    const known = usual[what] ?? {};
    const most = countOf(known) < STUCK.known ? undefined : percentile(known, 0.9);
    if (most === undefined || now - startedAt <= Math.max(STUCK.leastMs, STUCK.times * most)) return [];
    return [{
      key,
      kind: "run_stuck" as const,
      severity: "warning" as const,
      message:
        `${what} has run on ${node} for ${inTime(now - startedAt)}; 9 of 10 before took ${inTime(most)} at most. ` +
        `Look: xtask commands logs ${command}`,
    }];
  });
}
