/** The alerts of a project: what is heard goes to `decide`, what it concludes is kept, and told to whoever should know. */
import type { Bucket } from "../../nats/bucket.ts";
import type { AlertRecord } from "../../protocol/alert.ts";
import type { By } from "../../protocol/by.ts";
import type { Alert } from "../../protocol/event.ts";
import { XtaskError } from "../../protocol/error.ts";
import { ALERTS_MAX } from "../../protocol/limits.ts";
import { type Condition, decide, learn, newWatch, type Watch, type WatchEvent } from "./decide.ts";

/** What {@linkcode openAlarm} needs. */
export interface AlarmOptions {
  readonly bucket: Bucket<AlertRecord>;
  /** When a node that is offline was last heard of, in ms since 1970. */
  readonly awaySince: (node: string) => number | undefined;
  readonly now: () => number;
  /** Tells everybody, as soon as that can be done. False where it never will. */
  readonly tell: (alert: Alert) => Promise<boolean>;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

/** The alerts of a project. */
export interface Alarm {
  /** Takes what is heard of a node. Until {@linkcode Alarm.begin} it only learns from it. */
  hear(node: string, event: WatchEvent): void;
  /** What a node or the hub itself said that a person should know: told already, kept until it is acknowledged. */
  told(alert: Alert, author: string, sequence: number): void;
  /** From now on conclusions are drawn: what was heard before is all known. */
  begin(): void;
  /** Looks at every node: some things become true by nothing but time. */
  tick(): void;
  /** Newest first. */
  list(all: boolean): AlertRecord[];
  /** @throws {XtaskError} `not_found` */
  acknowledge(key: string, by: By): Promise<AlertRecord>;
  /** @throws {XtaskError} `not_found` */
  mute(key: string, by: By, forMs: number): Promise<AlertRecord>;
  /** @throws {XtaskError} `not_found` */
  unmute(key: string): Promise<AlertRecord>;
  /** Resolves when nothing is being told or kept any more. */
  settled(): Promise<void>;
}

/** Opens the alerts as the bucket has them. */
export async function openAlarm(options: AlarmOptions): Promise<Alarm> {
  const { bucket, awaySince, now, tell, log } = options;
  const records = new Map([...await bucket.entries()].sort(([, a], [, b]) => a.openedAt < b.openedAt ? -1 : 1));
  const watches = restored(records.values(), awaySince);
  /** By key, what is being told last. */
  const telling = new Map<string, Alert>();
  /** What the bucket does not have yet. */
  const unkept = new Map<string, AlertRecord>();
  const underWay = new Set<Promise<void>>();
  let live = false;

  const hold = (record: AlertRecord) => {
    records.delete(record.key);
    records.set(record.key, record);
    forget(records);
  };
  /** Keeps the newest record of a key. */
  const put = async (key: string) => {
    const record = records.get(key);
    if (record === undefined) return void unkept.delete(key);
    unkept.set(key, record);
    await bucket.put(key, record);
    if (unkept.get(key) === record) unkept.delete(key);
  };
  const putLater = (key: string, told: Promise<boolean>) => {
    const failed = unkept.has(key);
    const kept: Promise<void> = told
      .then((isTold) => isTold ? put(key) : undefined)
      .catch((error) => failed || log("warn", `alert ${key} waits to be kept: ${(error as Error).message}`))
      .then(() => void underWay.delete(kept));
    underWay.add(kept);
  };
  /** Tells it before it is kept: a hub that dies in between is followed by one that tells it again. */
  const tellFirst = async (key: string, alert: Alert): Promise<boolean> => {
    telling.set(key, alert);
    const isTold = await tell(alert);
    // What has been concluded since has to be told first, too.
    if (telling.get(key) !== alert) return false;
    telling.delete(key);
    return isTold;
  };
  const keep = async (record: AlertRecord): Promise<AlertRecord> => {
    hold(record);
    await put(record.key);
    return record;
  };
  const announce = (record: AlertRecord, state: "open" | "resolved") => {
    const { key, node, severity, message, muted } = record;
    log("info", `alert ${state}: ${message}`);
    const at = new Date(now()).toISOString();
    const quiet = muted !== undefined && Date.parse(muted.until) > now();
    hold(record);
    putLater(key, quiet ? Promise.resolve(true) : tellFirst(key, { at, node, severity, message, key, state }));
  };
  const apply = (node: string, event: WatchEvent) => {
    const before = watches.get(node) ?? newWatch(node);
    if (!live) return void watches.set(node, learn(before, event, now()));
    const { watch, effects } = decide(before, event, now());
    watches.set(node, watch);
    for (const effect of effects) {
      if (effect.type === "open") {
        announce(opened(records.get(effect.condition.key), node, effect.condition, now()), "open");
      } else {
        const record = records.get(effect.key);
        if (record === undefined) continue;
        const message = effect.because === undefined ? record.message : `${record.message}. It is ${effect.because}`;
        announce({ ...record, message, resolvedAt: iso(now()) }, "resolved");
      }
    }
  };
  const tick = () => {
    if (!live) return;
    for (const node of watches.keys()) apply(node, { type: "tick" });
    for (const key of unkept.keys()) if (!telling.has(key)) putLater(key, Promise.resolve(true));
  };
  const find = (key: string): AlertRecord => {
    const record = records.get(key);
    if (record !== undefined) return record;
    throw new XtaskError("not_found", `There is no alert '${key}'`, { details: ["see: xtask alerts ls --all"] });
  };
  return {
    hear: apply,
    told({ at, node, severity, message }, author, sequence) {
      const key = `told.${sequence}.${author}`;
      if (records.has(key)) return;
      hold({ key, kind: "told", node, severity, message, openedAt: at, count: 1 });
      putLater(key, Promise.resolve(true));
    },
    begin() {
      if (live) return;
      live = true;
      tick();
    },
    tick,
    list: (all) => [...records.values()].filter(({ resolvedAt }) => all || resolvedAt === undefined).reverse(),
    acknowledge(key, by) {
      const record = find(key);
      const at = iso(now());
      // What was only told is over once somebody has seen it.
      const over = record.kind === "told" ? { resolvedAt: record.resolvedAt ?? at } : {};
      return keep({ ...record, ...over, acknowledged: { by, at } });
    },
    mute: (key, by, forMs) => keep({ ...find(key), muted: { by, at: iso(now()), until: iso(now() + forMs) } }),
    unmute(key) {
      const { muted: _, ...record } = find(key);
      return keep(record);
    },
    settled: async () => void await Promise.all(underWay),
  };
}

/** What was told before the hub started goes on, and is not told again. */
function restored(
  records: Iterable<AlertRecord>,
  awaySince: AlarmOptions["awaySince"],
): Map<string, Watch> {
  const open = new Map<string, Record<string, Condition>>();
  for (const { key, kind, node, severity, message, resolvedAt } of records) {
    if (resolvedAt !== undefined || kind === "told") continue;
    open.set(node, { ...open.get(node), [key]: { key, kind, severity, message } });
  }
  return new Map(
    [...open].map(([node, conditions]) => {
      const away = Object.values(conditions).some(({ kind }) => kind === "node_away");
      return [node, newWatch(node, conditions, away ? awaySince(node) : undefined)];
    }),
  );
}

function opened(before: AlertRecord | undefined, node: string, condition: Condition, now: number): AlertRecord {
  const { muted, count = 0, openedAt, resolvedAt } = before ?? {};
  // What got worse is the same alert still, but has to be looked at again.
  const again = before === undefined || resolvedAt !== undefined;
  return {
    ...condition,
    node,
    openedAt: again || openedAt === undefined ? iso(now) : openedAt,
    count: again ? count + 1 : count,
    ...(muted === undefined ? {} : { muted }),
  };
}

/** Keeps those that are open; of the others, the newest. */
function forget(records: Map<string, AlertRecord>): void {
  for (const pass of ["over", "open"]) {
    for (const [key, { resolvedAt }] of records) {
      if (records.size <= ALERTS_MAX) return;
      if (pass === "open" || resolvedAt !== undefined) records.delete(key);
    }
  }
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
