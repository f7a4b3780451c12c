/**
 * What every tab is shown of a fleet, kept once for all of them: nodes, the newest commands, what nodes measured of late,
 * alerts and what people tell each other. Follows the live subjects with one subscription each, and is set right by the hub
 * from time to time, and as soon as a lost link is back: of what was missed meanwhile nobody tells again.
 */
import * as v from "valibot";
import type { Fleet } from "../../client/fleet.ts";
import { listedNodes } from "../../client/listed_nodes.ts";
import type { Incoming, Subscription } from "../../nats/bus.ts";
import { pause } from "../../os/pause.ts";
import { XtaskError } from "../../protocol/error.ts";
import type { AlertRecord } from "../../protocol/alert.ts";
import { Event } from "../../protocol/event.ts";
import { COMMANDS_SHOWN_MAX } from "../../protocol/limits.ts";
import { Metrics } from "../../protocol/metrics.ts";
import { Heartbeat, NodeRecord } from "../../protocol/node.ts";
import { parseJson } from "../../protocol/parse.ts";
import { applyEvent, isCommandEvent, mayTell, mergeRecords } from "../../protocol/projection.ts";
import { CommandRecord } from "../../protocol/run.ts";
import { eventsOf, HEARTBEATS, lastToken, METRICS_ANY } from "../../protocol/subjects.ts";
import { type AgentLogs, followAgentLogs } from "./agent_logs.ts";
import { followAlerts } from "./alerts.ts";
import { followTeam, type Team } from "./team.ts";

/** Options of {@linkcode openModel}. */
export interface ModelOptions {
  readonly fleet: Fleet;
  readonly project: string;
  /** Hears what cannot be followed. */
  readonly log: (message: string) => void;
}

/** A node as the hub tells of it: its record, and when it was last heard of. */
export const ShownNode = v.object({
  ...NodeRecord.entries,
  seenAt: v.optional(v.string()),
  away: v.optional(v.picklist(["stopped", "lost"])),
});
/** A node as the hub tells of it. */
export type ShownNode = v.InferOutput<typeof ShownNode>;

/** What is shown of a fleet at a moment. Records are replaced, never changed: the same record is the same state. */
export interface Model extends AsyncDisposable {
  /** Grows with every change. */
  readonly version: number;
  /** Whether the hub answers. */
  readonly linked: boolean;
  /** By id. */
  readonly nodes: ReadonlyMap<string, ShownNode>;
  /** By id, oldest first. */
  readonly commands: ReadonlyMap<string, CommandRecord>;
  /** The newest samples of each node, oldest first. */
  readonly samples: ReadonlyMap<string, readonly Metrics[]>;
  /** By key, those first that were told first. */
  readonly alerts: ReadonlyMap<string, AlertRecord>;
  /** What people tell each other, and who of them is here. */
  readonly team: Team;
  /** What the agents said of themselves of late. */
  readonly agentLogs: AgentLogs;
  /** How many want to hear of changes: the tabs that are open. */
  readonly watchers: number;
  /** Calls back after each change; dispose of it to hear no more. */
  onChange(hear: () => void): Disposable;
  /** A command, also one that is too old to be kept. */
  command(id: string): Promise<CommandRecord | undefined>;
}

/** The hub is asked for everything this often, and where it does not answer, this soon again. */
const RECONCILE_MS = 15_000;
const AGAIN_MS = 2_000;
/** A node that comes or goes is looked up after this long, and others that do so meanwhile with it. */
const GATHER_MS = 200;
const SAMPLES_MAX = 60;

const Commands = v.object({ commands: v.array(CommandRecord) });

/** Opens a model. It is filled when this resolves, or empty where no hub answers. */
export async function openModel({ fleet, project, log }: ModelOptions): Promise<Model> {
  const { bus } = fleet;
  const stop = new AbortController();
  const listeners = new Set<() => void>();
  const nodes = new Map<string, ShownNode>();
  let commands = new Map<string, CommandRecord>();
  const samples = new Map<string, readonly Metrics[]>();
  let [version, linked] = [0, false];

  const changed = () => {
    version++;
    for (const hear of listeners) hear();
  };
  const bounded = (all: Map<string, CommandRecord>) =>
    new Map([...all].sort(([a], [b]) => a < b ? -1 : 1).slice(-COMMANDS_SHOWN_MAX));
  // What the hub's answer may not know yet: beats heard while it is asked, and commands, by when they were last heard of. Those
  // come to the hub by a consumer that can be behind what is heard here.
  const heard = { commands: new Map<string, number>(), beats: new Map<string, Partial<ShownNode>>() };
  const reconcile = async () => {
    const since = performance.now() - RECONCILE_MS;
    for (const [id, at] of heard.commands) if (at < since) heard.commands.delete(id);
    heard.beats.clear();
    try {
      const [known, listed] = await Promise.all([
        listedNodes(fleet.hub, "all", ShownNode),
        fleet.hub("command", "list", { limit: COMMANDS_SHOWN_MAX }, Commands),
      ]);
      nodes.clear();
      for (const node of known) nodes.set(node.id, { ...node, ...heard.beats.get(node.id) });
      for (const id of samples.keys()) if (!nodes.has(id)) samples.delete(id);
      agentLogs.keepOnly((id) => nodes.has(id));
      const before = commands;
      const listedById = listed.commands.map((command) =>
        [command.id, merged(before.get(command.id), command)] as const
      );
      commands = bounded(new Map([...[...before].filter(([id]) => heard.commands.has(id)), ...listedById]));
      linked = true;
    } catch (error) {
      if (linked) log(`the hub does not answer: ${XtaskError.from(error).message}`);
      linked = false;
    }
    changed();
  };

  let wanted = Promise.withResolvers<void>();
  const following = (async () => {
    while (!stop.signal.aborted) {
      await Promise.race([pause(linked ? RECONCILE_MS : AGAIN_MS, stop.signal), wanted.promise]);
      wanted = Promise.withResolvers();
      await pause(GATHER_MS, stop.signal);
      if (!stop.signal.aborted) await reconcile();
    }
  })();

  const linking = (async () => {
    for await (const change of bus.changes(stop.signal)) {
      if (change === "up") wanted.resolve();
      changed();
    }
  })();

  const hears: Readonly<Record<string, (message: Incoming) => void>> = {
    [HEARTBEATS]: (message) => {
      // What says that a node is gone comes this way too, and comes as an event as well.
      if (message.header("Nats-Marker-Reason") !== undefined) return;
      const { id, instance, link, at: _, digest: __, ...beat } = parseJson(Heartbeat, message.text(), "heartbeat");
      const before = nodes.get(id);
      if (before === undefined || before.instance !== instance) return wanted.resolve();
      const since = before.state === beat.state ? before.since : new Date().toISOString();
      const told = link === undefined ? {} : { link };
      const news = { ...beat, ...told, since, seenAt: new Date().toISOString() };
      nodes.set(id, { ...before, ...news });
      heard.beats.set(id, news);
    },
    [eventsOf(project)]: (message) => {
      const event = parseJson(Event, message.text(), "event");
      if (!isCommandEvent(event)) return wanted.resolve();
      // The server says whose prefix it came under: nobody tells of another node's run.
      const author = lastToken(message.header("Nats-Subject") ?? "");
      if (!mayTell(author, event, commands.get(event.command))) return;
      heard.commands.set(event.command, performance.now());
      commands.set(event.command, applyEvent(commands.get(event.command), event));
      if (commands.size > COMMANDS_SHOWN_MAX) commands = bounded(commands);
    },
    [METRICS_ANY]: (message) => {
      const sample = parseJson(Metrics, message.text(), "metrics");
      samples.set(sample.node, [...samples.get(sample.node) ?? [], sample].slice(-SAMPLES_MAX));
    },
  };
  const subscriptions: Subscription[] = Object.entries(hears).map(([subject, hear]) =>
    bus.subscribe(subject, (message) => {
      try {
        hear(message);
      } catch (error) {
        // Of another version, or nonsense: the page goes on without it.
        log(`${subject}: ${XtaskError.from(error).message}`);
      }
      changed();
    })
  );
  const kept = { bus, project, changed, log };
  const [alerts, team] = [followAlerts(kept, stop.signal), followTeam(kept, stop.signal)];
  const agentLogs = followAgentLogs(kept, stop.signal);
  await bus.flush();
  await reconcile();

  return {
    get version() {
      return version;
    },
    get linked() {
      return linked && bus.up;
    },
    nodes,
    get commands() {
      return commands;
    },
    samples,
    alerts: alerts.records,
    team,
    agentLogs,
    get watchers() {
      return listeners.size;
    },
    onChange(hear) {
      listeners.add(hear);
      return { [Symbol.dispose]: () => void listeners.delete(hear) };
    },
    async command(id) {
      const known = commands.get(id);
      if (known !== undefined) return known;
      try {
        return await fleet.hub("command", "show", { id }, CommandRecord);
      } catch (error) {
        if (XtaskError.from(error).code === "not_found") return undefined;
        throw error;
      }
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      wanted.resolve();
      for (const subscription of subscriptions) subscription[Symbol.dispose]();
      listeners.clear();
      await Promise.all([following, linking, alerts.ended, team.ended, agentLogs.ended]);
    },
  };
}

function merged(known: CommandRecord | undefined, listed: CommandRecord): CommandRecord {
  return known === undefined ? listed : mergeRecords(known, listed);
}
