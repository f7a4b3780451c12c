/** The hub: keeps the fleet's view from what nodes report, and answers what needs that view. */
import { createInvitation, Invitation } from "../auth/invite.ts";
import type { ProjectKeys } from "../auth/keyring.ts";
import { type Bucket, openBucket } from "../nats/bucket.ts";
import type { Bus, Incoming } from "../nats/bus.ts";
import { ensureStreams, STREAM } from "../nats/streams.ts";
import { publishStored } from "../nats/uplink.ts";
import { diskOf } from "../os/disk.ts";
import { pause } from "../os/pause.ts";
import { XtaskError } from "../protocol/error.ts";
import { AlertRecord } from "../protocol/alert.ts";
import type { Alert, Event } from "../protocol/event.ts";
import { HUB_AUTHOR } from "../protocol/id.ts";
import { INVITE_MS } from "../protocol/limits.ts";
import { Heartbeat, NodeRecord } from "../protocol/node.ts";
import type { Trouble } from "../protocol/metrics.ts";
import { parseJson } from "../protocol/parse.ts";
import { Waiting } from "../protocol/queue.ts";
import { CommandRecord } from "../protocol/run.ts";
import { DISCOVER, HEARTBEATS, lastToken, REGISTER_ANY, statusSubject, upEvent } from "../protocol/subjects.ts";
import { openAlarm } from "./alerts/alarm.ts";
import { hearMetrics } from "./alerts/hearing.ts";
import { answerHub } from "./answers.ts";
import { giveTo } from "./asking.ts";
import { BUCKETS } from "./buckets.ts";
import { Commands } from "./commands.ts";
import { isCommandEvent } from "../protocol/projection.ts";
import { Fleet, type FleetChange, NodeView } from "./fleet.ts";
import { keepDeriving } from "./deriving.ts";
import { follow } from "./following.ts";
import type { HubProcess } from "../protocol/health.ts";
import { openPlacementsAtHub } from "./placement/at_hub.ts";
import { openQueue } from "./queue.ts";
import { openTeller } from "./telling.ts";

/** Options of {@linkcode startHub}. */
export interface HubOptions {
  /** A connection that may do everything in the project's account. The hub does not close it. */
  readonly bus: Bus;
  readonly keys: ProjectKeys;
  /** The address that nodes are told to connect to. */
  readonly address: string;
  /** Where leaf nodes connect; undefined where none can. */
  readonly leafPort?: number | undefined;
  /** PEM of the authorities that vouch for the address, for those who join. */
  readonly ca?: string | undefined;
  /** The folder of its server's store, where that is on this machine. */
  readonly store?: string;
  /** Copies of all that is kept, in a cluster. @default {1} */
  readonly replicas?: number;
  /** The process, where several take turns. */
  readonly about?: HubProcess;
  readonly now?: () => number;
  /** In ms of a clock that only grows. @default {performance.now} */
  readonly elapsed?: () => number;
  /** How long a run that may move goes on without a word of the hub. @default {15000} */
  readonly leaseMs?: number | undefined;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

/** A running hub. */
export interface Hub extends AsyncDisposable {
  readonly fleet: Fleet;
  readonly commands: Commands;
  /** Whether the hub has caught up with the event stream and answers. */
  readonly ready: boolean;
  invite(role: Invitation["role"]): Promise<{ readonly token: string; readonly expiresAt: number }>;
  /** Hears why the store of its server cannot be written; undefined when it can be again. */
  storeTrouble(reason: string | undefined): void;
  /** Tells everybody of something that a person should know, as soon as that can be done. */
  alert(severity: Alert["severity"], message: string): void;
}

/** Changed records are written to their bucket this often: one write for many events of a command. */
const WRITE_MS = 250;
/** Some alerts begin by nothing but time. */
const TICK_MS = 5_000;
/** A living node answers well within this. */
const ASK_MS = 2_000;

/** Starts the hub. It answers when this resolves. */
export async function startHub(options: HubOptions): Promise<Hub> {
  const { bus, keys, replicas = 1, now = Date.now, log } = options;
  await ensureStreams(bus, { project: keys.project, replicas });
  const nodes = await openBucket(bus, { ...BUCKETS.nodes, schema: NodeView, replicas });
  const records = await openBucket(bus, { ...BUCKETS.commands, schema: CommandRecord, replicas });
  const invites = await openBucket(bus, { ...BUCKETS.invites, schema: Invitation, replicas });
  const fleet = new Fleet((await nodes.entries()).values());
  const commands = new Commands();
  const stop = new AbortController();
  await using stack = new AsyncDisposableStack();
  // Also where it cannot be started: what was begun by then goes on by itself otherwise.
  stack.defer(() => stop.abort());
  let [ready, refreshed] = [false, false];
  const alarm = await openAlarm({
    bucket: await openBucket(bus, { ...BUCKETS.alerts, schema: AlertRecord, replicas }),
    awaySince(id) {
      const view = fleet.get(id);
      return view?.state === "offline" ? Date.parse(view.seenAt) : undefined;
    },
    now,
    tell: (alert) => teller.tell({ type: "alert", ...alert }).stored,
    log,
  });
  stack.defer(() => alarm.settled());
  const teller = stack.use(openTeller({ bus, log }));

  const tell = (event: Event) => {
    const payload = new TextEncoder().encode(JSON.stringify(event));
    return publishStored(
      bus,
      { subject: upEvent(HUB_AUTHOR, event.type), headers: {}, payload },
      { id: `hub.${crypto.randomUUID()}`, signal: stop.signal },
    );
  };
  const tellAtOnce = async (event: Event) => {
    await tell(event);
    // Known at once, so that whoever left a command can take it back; no sooner, since what is not stored has not happened.
    if (isCommandEvent(event) && !commands.lacks(event)) commands.apply(event, 0, HUB_AUTHOR);
  };
  const queue = await openQueue({
    bucket: await openBucket(bus, { ...BUCKETS.queue, schema: Waiting, replicas }),
    give: (waiting) => giveTo(bus, waiting),
    tell: tellAtOnce,
    async stateOf(id, node) {
      const record = commands.get(id) ?? await records.get(id);
      return record !== undefined && Object.hasOwn(record.runs, node) ? record.runs[node]?.state : undefined;
    },
    there: () => fleet.nodes.filter(({ state }) => takesCommands(state)).map(({ id }) => id),
    now,
    log,
  });
  stack.defer(() => queue.settled());
  const { leaseMs, elapsed } = options;
  const placements = stack.use(
    await openPlacementsAtHub({
      ...{ bus, fleet, commands, records, replicas, now, elapsed, leaseMs, log },
      tell: tellAtOnce,
    }),
  );
  const told = async (change: FleetChange | undefined): Promise<void> => {
    if (change === undefined) return;
    const { type, node, reason, lostSince, hint } = change;
    if (lostSince !== undefined) {
      const worksOn = fleet.get(node)?.link.mode === "leaf";
      alarm.hear(node, {
        type: "lost",
        since: Date.parse(lostSince),
        worksOn,
        ...(hint === undefined ? {} : { hint }),
      });
    }
    if (type === "node_joined") alarm.hear(node, { type: "back", reason });
    const at = new Date(now()).toISOString();
    log("info", `${type === "node_joined" ? "joined" : "left"}: ${node} (${reason})`);
    await teller.tell(type === "node_left" ? { type, at, node, reason } : { type, at, node }).tried;
  };
  /** Nodes whose views are still to be kept. */
  const unsaved = new Set<string>();
  /** Later than what is told of them, so that a hub that dies in between tells it again. */
  const saveViews = async () => {
    if (teller.waits || !bus.up) return;
    await Promise.all([...unsaved].map(async (id) => {
      const view = fleet.get(id);
      if (view !== undefined) await nodes.put(id, view);
      if (fleet.get(id) === view) unsaved.delete(id);
    }));
  };
  const register = (record: NodeRecord) => {
    unsaved.add(record.id);
    return told(fleet.registered(record, now()));
  };
  const lose = (id: string) => {
    unsaved.add(id);
    return told(fleet.lost(id, now()));
  };
  const ask = async (id: string) => {
    const answer = await bus.request(statusSubject(id), "", { timeoutMs: ASK_MS });
    return parseJson(NodeRecord, answer.text(), `record of ${id}`);
  };

  const hear = async (message: Incoming) => {
    const node = lastToken(message.header("Nats-Subject") ?? "");
    if (message.header("Nats-Marker-Reason") !== undefined) return void lose(node);
    const heartbeat = parseJson(Heartbeat, message.text(), "heartbeat");
    // The server let only the node itself publish on its subject; what it says inside is its own word.
    if (heartbeat.id !== node) return;
    const { at, running, state } = heartbeat;
    const beat = fleet.beat(heartbeat, now());
    void told(beat?.change);
    alarm.hear(node, state === "offline" ? { type: "stopped" } : { type: "heard", at: Date.parse(at), running });
    if (beat === undefined) await register(await ask(node));
    else if (beat.change !== undefined) unsaved.add(node);
    if (!takesCommands(state)) return;
    queue.nodeIsThere(node);
    const view = fleet.get(node);
    if (view !== undefined) placements.nodeIsThere(view);
  };
  const quietly = (what: string, handle: (message: Incoming) => Promise<void>) => (message: Incoming) =>
    handle(message).catch((error) => log("warn", `${what}: ${(error as Error).message}`));

  /** The agent of each id that was found to be the only one. */
  const admitted = new Map<string, string>();
  stack.use(bus.subscribe(REGISTER_ANY, async (message) => {
    const record = parseJson(NodeRecord, message.text(), "node record");
    if (record.id !== lastToken(message.subject)) {
      throw new XtaskError("forbidden", `The record of '${record.id}' came from '${lastToken(message.subject)}'`);
    }
    const claimed = admitted.get(record.id) === record.instance;
    if (!claimed) await assertSole(bus, record);
    admitted.set(record.id, record.instance);
    // A new agent claims its id before it opens its door. It is there once it says so again, or its heartbeat is heard.
    if (claimed || fleet.get(record.id)?.instance === record.instance) await register(record);
    if (message.reply !== undefined) message.respond(JSON.stringify({ id: record.id }));
  }));
  stack.use(bus.subscribe(HEARTBEATS, quietly("heartbeat", hear)));

  stack.use(hearMetrics(bus, alarm, (message) => log("warn", message)));

  const deriving = replicas > 1 ? keepDeriving({ bus, log }, stop.signal) : undefined;
  const onLag = () => deriving?.lacks(STREAM.events);
  const following = follow(
    { bus, project: keys.project, commands, records, alarm, placements, onLag, log },
    stop.signal,
    () => {
      ready = true;
      queue.begin();
      if (refreshed) alarm.begin();
    },
  );
  const writing = (async () => {
    let troubled = false;
    while (!stop.signal.aborted) {
      await pause(WRITE_MS, stop.signal);
      try {
        await writeChanged(commands, records);
        await saveViews();
        troubled = false;
      } catch (error) {
        if (!troubled) log("warn", `records wait to be written: ${(error as Error).message}`);
        troubled = true;
      }
    }
  })();

  let troubles: Trouble[] = [];
  const disk = diskOf(options.store === undefined ? [] : [options.store]);
  const measure = async () => {
    const measured = await disk(stop.signal);
    const sample = { backlogBytes: 0, troubles, ...(measured === undefined ? {} : { disk: measured }) };
    if (!stop.signal.aborted) alarm.hear(HUB_AUTHOR, { type: "measured", sample });
  };
  const ticking = (async () => {
    while (!stop.signal.aborted) {
      await pause(TICK_MS, stop.signal);
      await measure();
      if (!bus.up) continue;
      alarm.tick();
      queue.tick();
    }
  })();

  const invite = async (role: Invitation["role"]) => {
    const { invitation, token } = createInvitation(keys, {
      role,
      expiresAt: now() + INVITE_MS,
      ...(options.ca === undefined ? {} : { ca: options.ca }),
    });
    await invites.put(invitation.id, invitation);
    return { token, expiresAt: invitation.expiresAt };
  };
  stack.use(
    answerHub({
      ...{ bus, keys, fleet, commands, alarm, queue, placements, records, invites, invite, now },
      address: options.address,
      leafPort: options.leafPort,
      about: options.about,
    }),
  );
  await bus.flush();

  // Nodes that changed while no hub listened, and those that are gone since.
  await refresh(bus, fleet, (message) => {
    try {
      const record = parseJson(NodeRecord, message.text(), "node record");
      void register(record);
      return record.id;
    } catch (error) {
      log("warn", `discover: ${(error as Error).message}`);
    }
  });
  for (const { id, state, seenAt } of fleet.nodes) {
    if (state === "offline" || now() - Date.parse(seenAt) < ASK_MS * 2) continue;
    void lose(id);
  }
  refreshed = true;
  if (ready) alarm.begin();
  const owned = stack.move();
  return {
    fleet,
    commands,
    get ready() {
      return ready && bus.up;
    },
    invite,
    storeTrouble(reason) {
      troubles = reason === undefined ? [] : [{ of: "store", reason }];
      void measure();
    },
    alert(severity, message) {
      teller.tell({ type: "alert", at: new Date(now()).toISOString(), node: HUB_AUTHOR, severity, message });
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await owned[Symbol.asyncDispose]();
      await Promise.all([following, writing, ticking, deriving?.ended]);
    },
  };
}

const takesCommands = (state: NodeRecord["state"] | undefined) => state === "online" || state === "busy";

/** @throws {XtaskError} `conflict` where another living agent holds the id */
async function assertSole(bus: Bus, { id, instance }: NodeRecord): Promise<void> {
  // Both may answer, the asker first: every answer counts. Where nobody lives the server says so at once.
  for await (const message of bus.gather(statusSubject(id), "", AbortSignal.timeout(ASK_MS))) {
    const living = parseJson(NodeRecord, message.text(), `record of ${id}`);
    if (living.instance === instance) continue;
    throw new XtaskError("conflict", `A node called '${id}' is already there, on ${living.hostname}`, {
      details: ["give this one another name with --name"],
    });
  }
}

/** Asks every node for its record, until those that are taken for there have answered, or had the time to. */
async function refresh(
  bus: Bus,
  fleet: Fleet,
  hear: (message: Incoming) => string | undefined,
): Promise<void> {
  const expected = new Set(fleet.nodes.filter(({ state }) => state !== "offline").map(({ id }) => id));
  const enough = new AbortController();
  if (expected.size === 0) enough.abort();
  for await (const message of bus.gather(DISCOVER, "", AbortSignal.any([enough.signal, AbortSignal.timeout(ASK_MS)]))) {
    const id = hear(message);
    if (id !== undefined && expected.delete(id) && expected.size === 0) enough.abort();
  }
}

async function writeChanged(commands: Commands, records: Bucket<CommandRecord>): Promise<void> {
  const changed = commands.takeChanged();
  const written = await Promise.allSettled(changed.map((record) => records.put(record.id, record)));
  commands.notWritten(changed.filter((_record, index) => written[index]?.status === "rejected"));
  const failed = written.find((one) => one.status === "rejected");
  if (failed !== undefined) throw failed.reason;
}
