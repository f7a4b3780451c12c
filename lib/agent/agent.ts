/** The agent: the process on a node that takes commands, runs them and reports. */
import type { Capability } from "../capability/define.ts";
import type { Bus } from "../nats/bus.ts";
import { elapsedClock } from "../os/elapsed.ts";
import { XtaskError } from "../protocol/error.ts";
import { type LeasedRun, Renewed } from "../protocol/lease.ts";
import { DRAIN_MS } from "../protocol/limits.ts";
import { type Trouble, TROUBLE_CHARS_MAX } from "../protocol/metrics.ts";
import type { Labels, NodeRecord } from "../protocol/node.ts";
import { parseJson } from "../protocol/parse.ts";
import { leaseRenewSubject } from "../protocol/subjects.ts";
import { VERSION } from "../protocol/version.ts";
import { openDoor } from "./door.ts";
import { endpointsOf } from "./endpoints.ts";
import { clientLink, openLeafLink } from "./hub_link.ts";
import { listTasks, type Unavailable } from "./inventory.ts";
import type { JournalPort } from "./journal.ts";
import { Leases } from "./leases.ts";
import { LinkWatch, type LinkWatchOptions } from "./link_watch.ts";
import { type Machine, machineHere, type MachineOptions } from "./machine.ts";
import { RunCounts } from "./metrics.ts";
import { Outbox } from "./outbox.ts";
import { register, registerOverLink, startPresence } from "./presence.ts";
import { Reporter } from "./reporter.ts";
import { Runs } from "./runs.ts";
import { Schedules } from "./schedules/schedules.ts";
import { Self } from "./self.ts";
import { type Service, startService } from "./services.ts";
import { Slots } from "./slots.ts";
import { followTaskfile, taskfileStamp } from "./taskfile.ts";

/** Options of {@linkcode startAgent}. */
export type AgentOptions = AgentSettings & MachineOptions;

/** Options of {@linkcode startAgentOn}. */
export interface AgentSettings {
  /** The connection to the hub, or to the node's own server. The agent does not close it. */
  readonly bus: Bus;
  /** Given for a leaf node, whose own server `bus` is connected to: the project that it belongs to at the hub. */
  readonly leaf?: { readonly project: string };
  readonly node: string;
  /** The folder that the node offers; absolute. */
  readonly dir: string;
  readonly labels: Labels;
  readonly slots: number;
  /** Why the store of the node's own server cannot be written. */
  readonly storeTrouble?: () => string | undefined;
  readonly hostname: string;
  readonly now?: () => number;
  /** In ms of a clock that only grows, also while the machine sleeps. @default {elapsedClock()} */
  readonly elapsed?: () => number;
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
export function startAgent(options: AgentOptions): Promise<Agent> {
  return startAgentOn(machineHere(options), options);
}

/** Starts an agent on a machine: see {@linkcode startAgent}. */
export async function startAgentOn(machine: Machine, options: AgentSettings): Promise<Agent> {
  const { bus, leaf, node, dir, now = Date.now, elapsed = elapsedClock() } = options;
  await using stack = new AsyncDisposableStack();
  stack.use(await machine.lock());
  const stop = new AbortController();
  const reporter = new Reporter({ ...options, now });
  const damages: string[] = [];
  const journal = stack.use(machine.openJournal((message) => damages.push(message)));
  // Where starting fails from here on, nothing may go on for ever.
  stack.defer(() => stop.abort());
  const onTrouble = (error: unknown) => reporter.log("warn", `reports wait for the hub: ${(error as Error).message}`);
  let contact = () => {};
  const way = stack.use(
    leaf === undefined
      ? clientLink(bus)
      : await openLeafLink({ bus, node, ...leaf, journal, onContact: () => contact(), onTrouble }),
  );
  const prefix = `${node}.${await incarnationOf(journal)}`;
  const outbox = stack.use(new Outbox({ journal, node: prefix, uplink: way, onTrouble }));
  const backlogBytes = () => outbox.backlogBytes + way.backlogBytes;
  const { measure } = way;
  const mode = leaf === undefined ? "client" : "leaf";
  const watch = new LinkWatch(
    { mode, measure, backlogBytes, now, onUp: () => way.isBack(), ...linkTelling(reporter) },
    stop.signal,
  );
  contact = () => watch.contact();
  reporter.attach(outbox);
  for (const damage of damages) {
    reporter.log("error", damage);
    await reporter.alert("critical", damage);
  }
  const { host, capabilities, unavailable, guarded, bound, keeper } = await machine.openHost();
  stack.use(host);
  const slots = new Slots(options.slots);
  const renew = (runs: readonly LeasedRun[], withinMs: number) => renewLeases(bus, node, runs, withinMs);
  const leases = stack.use(new Leases({ renew, elapsed, onBounds: bound }));
  // Until the node is known to the hub there is nobody to tell.
  let changed = () => {};
  const counts = new RunCounts();
  const runs = new Runs({
    node,
    journal,
    outbox,
    host,
    endProcesses: machine.endProcesses,
    keeper,
    slots,
    leases,
    counts,
    now,
    onChange: () => changed(),
    onTrouble: (message, error) => reporter.log("error", `${message}: ${(error as Error).message}`),
  });
  const self = new Self({
    ...options,
    now,
    capabilities,
    journal,
    slots,
    guarded,
    running: () => runs.ids,
    link: () => watch.status,
    schedules: () => schedules.all,
  });
  const refusing = () => self.draining ? "it is draining" : undefined;
  const schedules = stack.use(
    new Schedules({
      ...{ journal, runs, capabilities, refusing, now },
      onChange: () => changed(),
      log: (level, message) => reporter.log(level, message),
    }),
  );
  await tellRecovered(await runs.recover(capabilities), reporter);
  const task = capabilities.get("task");
  if (task !== undefined) {
    const stamp = await taskfileStamp(dir);
    self.tasks = await listTasks(host, task);
    void followTaskfile(dir, stamp, stop.signal, async () => {
      self.tasks = await listTasks(host, task);
      changed();
    });
  }
  // Claims the id, before anything is answered under it.
  const claimed = leaf === undefined
    ? await register(bus, self.record())
    : await registerOverLink(bus, () => self.record(), stop.signal);
  const service = stack.use(serviceOf(bus, self, capabilities));
  const setDraining = async (draining: boolean, keep: boolean) => {
    await self.drain(draining, { keep });
    reporter.log("info", draining ? "takes no new commands" : "takes commands");
    changed();
  };
  // What can go on elsewhere does so when a node has been draining for a while.
  let handBack: ReturnType<typeof setTimeout> | undefined;
  stack.defer(() => clearTimeout(handBack));
  stack.use(openDoor({
    bus,
    node,
    capabilities,
    runs,
    now,
    record: () => self.record(),
    refusing,
    schedules,
    control: {
      async label(changes) {
        await self.label(changes);
        changed();
      },
      drain: async () => {
        handBack ??= setTimeout(
          () => runs.handBack(new XtaskError("cancelled", "The node is being drained")),
          DRAIN_MS,
        );
        await setDraining(true, true);
      },
      resume: async () => {
        clearTimeout(handBack);
        handBack = undefined;
        await setDraining(false, true);
      },
    },
    onRequest: ({ subject, durationMs, error }) => {
      service.count(subject, durationMs, error?.message);
      if (error?.code === "internal") reporter.log("error", `${subject}: ${error.message}`);
    },
  }));
  await bus.flush();
  // On its way to the hub this comes after the interest of the door, so whoever sees this node there reaches it.
  const registered = claimed && await register(bus, self.record());
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  ({ changed } = startPresence({
    bus,
    record: () => self.record(),
    registered,
    now,
    signal: stop.signal,
    onConflict: (error) => error.code === "conflict" ? failure.reject(error) : reporter.log("warn", error.message),
  }));
  machine.startMetrics({
    bus,
    record: () => self.record(),
    folders: [dir],
    runs: counts,
    backlogBytes,
    troubles: () => troublesOf(journal.trouble, options.storeTrouble?.()),
    now,
    signal: stop.signal,
  });
  schedules.begin();
  let stopping = false;
  const drain = async (signal: AbortSignal) => {
    stopping = true;
    await schedules[Symbol.asyncDispose]();
    await setDraining(true, false);
    await runs.drain(signal);
    const within = AbortSignal.any([AbortSignal.timeout(FLUSH_MS), noLink(bus, stop.signal)]);
    await outbox.flushed(within);
    if (watch.status.up) await way.handedOver(within);
  };
  const owned = stack.move();
  return {
    get record() {
      return self.record();
    },
    unavailable,
    failed: failure.promise,
    drain,
    async [Symbol.asyncDispose]() {
      if (!stopping) await drain(AbortSignal.timeout(DRAIN_MS));
      stop.abort();
      await owned[Symbol.asyncDispose]();
    },
  };
}

function troublesOf(journal: string | undefined, store: string | undefined): Trouble[] {
  const told = (of: Trouble["of"], reason: string | undefined): Trouble[] =>
    reason === undefined ? [] : [{ of, reason: reason.slice(0, TROUBLE_CHARS_MAX) }];
  return [...told("journal", journal), ...told("store", store)];
}

async function renewLeases(bus: Bus, node: string, runs: readonly LeasedRun[], timeoutMs: number): Promise<Renewed> {
  // What waited for the link would be sent when it is of no use any more.
  if (!bus.up) throw new XtaskError("unavailable", "There is no link");
  const answer = await bus.request(leaseRenewSubject(node), JSON.stringify({ runs }), { timeoutMs });
  return parseJson(Renewed, answer.text(), "answer to lease.renew");
}

async function tellRecovered(
  { interrupted, adopted }: Awaited<ReturnType<Runs["recover"]>>,
  reporter: Reporter,
): Promise<void> {
  if (adopted.length > 0) {
    reporter.log("info", `${adopted.length} run(s) outlived the agent and go on: ${adopted.join(", ")}`);
  }
  if (interrupted.length === 0) return;
  const message = `${interrupted.length} run(s) were interrupted by the agent's end: ${interrupted.join(", ")}`;
  reporter.log("warn", message);
  await reporter.alert("warning", message);
}

/** Told late and once: a link that comes and goes is no news. */
function linkTelling(reporter: Reporter): Pick<LinkWatchOptions, "onLost" | "onBack"> {
  return {
    onLost(since) {
      void reporter.alert("warning", `The hub has not answered this node since ${since.toISOString()}`);
    },
    onBack: (since) => reporter.log("info", `the hub answers again; it did not since ${since.toISOString()}`),
  };
}

function serviceOf(bus: Bus, self: Self, capabilities: ReadonlyMap<string, Capability>): Service {
  const { id, platform: { os, arch } } = self.record();
  return startService({
    bus,
    name: "xtask-agent",
    id,
    version: VERSION,
    description: `xtask agent on ${id}`,
    metadata: { node: id, os, arch },
    endpoints: () => endpointsOf(id, capabilities.values()),
  });
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

/** Tells this journal's numbers from those of an earlier one that was wiped. */
async function incarnationOf(journal: JournalPort): Promise<string> {
  const known = journal.setting("incarnation");
  if (known !== undefined) return known;
  const made = crypto.randomUUID().slice(0, 8);
  await journal.setSetting("incarnation", made);
  return made;
}
