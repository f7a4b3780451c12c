/** The agent: the process on a node that takes commands, runs them and reports. */
import * as v from "valibot";
import type { CapabilityName } from "../capability/registry.ts";
import { createHost } from "../capability/host.ts";
import type { Bus } from "../nats/bus.ts";
import { publishStored } from "../nats/uplink.ts";
import type { XtaskError } from "../protocol/error.ts";
import type { Alert } from "../protocol/event.ts";
import { DRAIN_MS, KILL_GRACE_MS } from "../protocol/limits.ts";
import type { Labels, NodeRecord } from "../protocol/node.ts";
import { parseJson } from "../protocol/parse.ts";
import { platformHere } from "../protocol/platform.ts";
import { commandSubject, DISCOVER, runSubject, statusSubject, upAlert, upEvent } from "../protocol/subjects.ts";
import { VERSION } from "../protocol/version.ts";
import { openDoor } from "./door.ts";
import { lockFolder } from "../os/lock.ts";
import { askReady, type CommonFacts, findCapabilities, listTasks, type Unavailable } from "./inventory.ts";
import { Journal } from "./journal.ts";
import { Outbox } from "./outbox.ts";
import { loadHere, register, startPresence } from "./presence.ts";
import { Runs } from "./runs.ts";
import { type Endpoint, startService } from "./services.ts";
import { Slots } from "./slots.ts";

/** Options of {@linkcode startAgent}. */
export interface AgentOptions {
  /** The connection to the hub, or later to the node's own server. The agent does not close it. */
  readonly bus: Bus;
  readonly node: string;
  /** Where the journal is kept. */
  readonly home: string;
  /** The folder that the node offers; absolute. */
  readonly dir: string;
  readonly labels: Labels;
  readonly slots: number;
  readonly allow: readonly CapabilityName[];
  /** Executables that are not looked for on PATH. */
  readonly known: Readonly<Record<string, string>>;
  /** Environment of child processes. */
  readonly env: Readonly<Record<string, string>>;
  /** Processes that no command may end; asked anew for each command. */
  readonly protectedPids: () => readonly number[];
  readonly hostname: string;
  readonly now?: () => number;
  /** Hears what the agent has to say: one line. */
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

/** A running agent. Disposing it drains it for up to 30 s. */
export interface Agent extends AsyncDisposable {
  readonly record: NodeRecord;
  /** What this node does not offer, and why. */
  readonly unavailable: readonly Unavailable[];
  /** Rejects when the agent cannot go on: its id is held by another machine. */
  readonly failed: Promise<never>;
  /** Takes no new commands, lets the running ones end until the signal fires, then hands them back as `interrupted`. */
  drain(signal: AbortSignal): Promise<void>;
}

/** How long the last reports may take to reach the hub when the agent stops; what is left stays in the journal. */
const FLUSH_MS = 5_000;

/**
 * Starts an agent. It takes commands when this resolves.
 *
 * @throws {XtaskError} `conflict` where a living agent has this id or this home
 */
export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { bus, node, home, dir, allow, known, env, protectedPids, hostname, now = Date.now, log } = options;
  await using stack = new AsyncDisposableStack();
  stack.use(await lockFolder(home, "An agent"));
  const journal = stack.use(new Journal(`${home}/journal.sqlite`, { now }));
  const stop = new AbortController();
  const common: CommonFacts = { id: node, platform: platformHere(), dir, env };
  const { found, unavailable: missing } = await findCapabilities({ allow, facts: common, known });
  const host = stack.use(createHost({
    factsFor: ({ name }) => found.get(name)?.facts ?? { ...common, tools: {} },
    protectedPids,
    graceMs: KILL_GRACE_MS,
  }));
  const unready = await askReady(host, [...found.values()].map(({ capability }) => capability));
  const capabilities = new Map(
    [...found].filter(([name]) => !unready.some((other) => other.name === name))
      .map(([name, { capability }]) => [name, capability]),
  );
  const outbox = stack.use(
    new Outbox({
      journal,
      node: `${node}.${await incarnationOf(journal)}`,
      uplink: {
        get up() {
          return bus.up;
        },
        whenUp: (signal) => bus.whenUp(signal),
        send: (report, id) => publishStored(bus, report, id),
      },
      onTrouble: (error) => log("warn", `reports wait for the hub: ${(error as Error).message}`),
    }),
  );
  const slots = new Slots(options.slots);
  const labels = new Map(Object.entries(options.labels));
  for (const [name, value] of Object.entries(savedLabels(journal))) {
    if (value === null) labels.delete(name);
    else labels.set(name, value);
  }
  const task = capabilities.get("task");
  const tasks = task === undefined ? [] : await listTasks(host, task);
  const instance = crypto.randomUUID();
  let draining = journal.setting("draining") === "true";
  let state: NodeRecord["state"] = "online";
  let since = new Date(now()).toISOString();
  const record = (): NodeRecord => {
    const next = draining ? "draining" : slots.free === 0 ? "busy" : "online";
    if (next !== state) since = new Date(now()).toISOString();
    state = next;
    return {
      id: node,
      instance,
      hostname,
      platform: common.platform,
      labels: Object.fromEntries(labels),
      version: VERSION,
      capabilities: [...capabilities.values()].map(({ name, verbs }) => ({ name, verbs: Object.keys(verbs) })),
      tasks,
      slots: { total: slots.total, free: slots.free },
      queued: slots.queued,
      load: loadHere(),
      state,
      since,
      link: { mode: "client" },
      running: runs.ids,
    };
  };
  // Until the node is known to the hub there is nobody to tell.
  let changed = () => {};
  const runs = new Runs({
    node,
    journal,
    outbox,
    host,
    slots,
    now,
    onChange: () => changed(),
    onTrouble: (message, error) => log("error", `${message}: ${(error as Error).message}`),
  });
  const raise = (severity: Alert["severity"], message: string) => {
    const alert: Alert = { at: new Date(now()).toISOString(), node, severity, message };
    const drafts = [
      { subject: upAlert(node, severity), value: alert },
      { subject: upEvent(node, "alert"), value: { type: "alert", ...alert } },
    ];
    outbox.facts(drafts.map(({ subject, value }) => ({
      subject,
      headers: {},
      payload: new TextEncoder().encode(JSON.stringify(value)),
    }))).catch((error) => log("error", `an alert could not be kept: ${(error as Error).message}`));
  };
  const recovered = await runs.recover();
  if (recovered.length > 0) {
    const message = `${recovered.length} run(s) were interrupted by the agent's end: ${recovered.join(", ")}`;
    log("warn", message);
    raise("warning", message);
  }
  await register(bus, record());
  const service = stack.use(startService({
    bus,
    name: "xtask-agent",
    id: node,
    version: VERSION,
    description: `xtask agent on ${node}`,
    metadata: { node, os: common.platform.os, arch: common.platform.arch },
    endpoints: () => endpointsOf(node, record()),
  }));
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  const setDraining = async (value: boolean) => {
    draining = value;
    await journal.setSetting("draining", String(value));
    changed();
  };
  stack.use(openDoor({
    bus,
    node,
    capabilities,
    runs,
    record,
    now,
    refusing: () => draining ? "it is draining" : undefined,
    control: {
      async label(changes) {
        for (const [name, value] of Object.entries(changes)) {
          if (value === null) labels.delete(name);
          else labels.set(name, value);
        }
        await journal.setSetting("labels", JSON.stringify({ ...savedLabels(journal), ...changes }));
        changed();
      },
      drain: () => setDraining(true),
      resume: () => setDraining(false),
    },
    onRequest: ({ subject, durationMs, error }) => {
      service.count(subject, durationMs, error?.message);
      if (error?.code === "internal") log("error", `${subject}: ${error.message}`);
    },
  }));
  await bus.flush();
  ({ changed } = startPresence({
    bus,
    record,
    now,
    signal: stop.signal,
    onConflict: (error: XtaskError) => error.code === "conflict" ? failure.reject(error) : log("warn", error.message),
  }));
  let stopping = false;
  const drain = async (signal: AbortSignal) => {
    stopping = draining = true;
    changed();
    await runs.drain(signal);
    await outbox.flushed(AbortSignal.any([AbortSignal.timeout(FLUSH_MS), noLink(bus, stop.signal)]));
  };
  const owned = stack.move();
  return {
    get record() {
      return record();
    },
    unavailable: [...missing, ...unready],
    failed: failure.promise,
    drain,
    async [Symbol.asyncDispose]() {
      if (!stopping) await drain(AbortSignal.timeout(DRAIN_MS));
      stop.abort();
      await owned[Symbol.asyncDispose]();
    },
  };
}

/** Fires as soon as there is no link: then waiting for reports to leave is in vain. */
function noLink(bus: Bus, signal: AbortSignal): AbortSignal {
  const gone = new AbortController();
  if (!bus.up) gone.abort();
  void (async () => {
    for await (const change of bus.changes(signal)) if (change === "down") break;
    gone.abort();
  })();
  return gone.signal;
}

/** Labels that were set while it ran; null for one that was taken away. */
function savedLabels(journal: Journal): Record<string, string | null> {
  const saved = journal.setting("labels");
  return saved === undefined ? {} : parseJson(SavedLabels, saved, "saved labels");
}

const SavedLabels = v.record(v.string(), v.nullable(v.string()));

/** Tells this journal's numbers from those of an earlier one that was wiped. */
async function incarnationOf(journal: Journal): Promise<string> {
  const known = journal.setting("incarnation");
  if (known !== undefined) return known;
  const made = crypto.randomUUID().slice(0, 8);
  await journal.setSetting("incarnation", made);
  return made;
}

function endpointsOf(node: string, { capabilities }: NodeRecord): Endpoint[] {
  const own = [
    { name: "status", subject: statusSubject(node) },
    { name: "discover", subject: DISCOVER },
    { name: "run-cancel", subject: runSubject(node, "cancel") },
    { name: "run-status", subject: runSubject(node, "status") },
  ];
  const offered = capabilities.flatMap(({ name, verbs }) =>
    verbs.map((verb) => ({ name: `${name}-${verb}`, subject: commandSubject(node, name, verb) }))
  );
  return [...own, ...offered].map((endpoint) => ({ ...endpoint, metadata: {} }));
}
