/**
 * A hub process without a server of its own, against a NATS server or cluster that is there. Several may run: of each project
 * one leads. It stands beside system.ts, which builds the rest.
 */
import type { ProjectKeys } from "./auth/keyring.ts";
import { connectFleet } from "./client/fleet.ts";
import type { Project } from "./http/projects.ts";
import type { Http } from "./http/start.ts";
import { type Hub, startHub } from "./hub/hub.ts";
import { FINISH_MS } from "./hub/leader.ts";
import { type Leading, nameOf, startLeading } from "./hub/leading.ts";
import { parseAddresses } from "./nats/address.ts";
import { type Bus, openBus } from "./nats/bus.ts";
import type { ConnectOptions } from "./nats/connect.ts";
import { assertJetStream } from "./nats/streams.ts";
import { pause } from "./os/pause.ts";
import { XtaskError } from "./protocol/error.ts";
import type { HubProcess } from "./protocol/health.ts";
import { inboxPrefix } from "./protocol/subjects.ts";
import { VERSION } from "./protocol/version.ts";
import { closedForGood, type HttpOptions, type Log, newCreds, PAGE, startPage } from "./system.ts";

/** Options of {@linkcode startCluster}. */
export interface ClusterOptions {
  /** Addresses of the servers. */
  readonly servers: string;
  readonly tlsCa?: string;
  readonly projects: readonly [ProjectKeys, ...ProjectKeys[]];
  /** Copies of all that is kept. @default 3 in a cluster, else 1 */
  readonly replicas?: number;
  /** Where the servers take leaf nodes; undefined where they do not. */
  readonly leafPort: number | undefined;
  readonly hostname: string;
  readonly http: HttpOptions;
  /** Where sessions of the page are kept. */
  readonly sessionsPath: string;
  readonly log: Log;
}

/** A hub process. Disposing it gives what it leads to another one, then stops the page. */
export interface Cluster extends AsyncDisposable {
  /** The servers, as whoever joins is told. */
  readonly address: string;
  readonly projects: readonly { readonly project: string; readonly leading: Leading }[];
  readonly replicas: number;
  readonly http: Http;
  readonly token: string;
  /** Rejects when the servers have closed the connection for good. */
  readonly failed: Promise<never>;
}

/** Servers of a cluster that have just started, or elect, can keep nothing for some seconds. */
const ELECTION_MS = 30_000;
const AGAIN_MS = 500;

/**
 * Starts a hub process. It leads, or knows who does, when this resolves.
 *
 * @throws {XtaskError} `unauthenticated` where the servers do not know its accounts, `unavailable` where they have no
 * JetStream, or are fewer than there are to be copies
 */
export async function startCluster(options: ClusterOptions, signal?: AbortSignal): Promise<Cluster> {
  const { servers, tlsCa, log } = options;
  await using stack = new AsyncDisposableStack();
  const self: HubProcess = {
    id: crypto.randomUUID().slice(0, 8),
    hostname: options.hostname,
    pid: Deno.pid,
    version: VERSION,
    startedAt: new Date().toISOString(),
  };
  const common = {
    servers,
    ...(tlsCa === undefined ? {} : { tls: { ca: tlsCa } }),
    ...(signal === undefined ? {} : { signal }),
  };
  const opened: (Project & { readonly keys: ProjectKeys; readonly bus: Bus })[] = [];
  for (const keys of options.projects) {
    const bus = stack.use(await openWith(keys, { ...common, name: `xtask hub ${self.id}` }));
    await patiently(bus, () => assertJetStream(bus), { log: (message) => log("hub", "warn", message), signal });
    const creds = keys.signs ? newCreds(keys, "operator", PAGE) : keys.hubCreds();
    const fleet = stack.use(
      await connectFleet({ ...common, creds, name: "xtask page", inboxPrefix: inboxPrefix(PAGE) }),
    );
    opened.push({ project: keys.project, keys, bus, fleet });
  }
  const [first, ...rest] = opened;
  if (first === undefined) throw new TypeError("A hub serves one project at least");
  const replicas = options.replicas ?? (first.bus.connection.info?.cluster === undefined ? 1 : 3);
  const address = addressesOf(servers);
  const hubs = new Map<string, Hub>();
  const projects: { project: string; leading: Leading }[] = [];
  // Apart, as they end first: the next one need not wait for those who look at the page.
  await using turns = new AsyncDisposableStack();
  for (const { project, keys, bus } of opened) {
    const tell = (level: Parameters<Log>[1], message: string) => log(`hub ${project}`, level, message);
    const begin = async (maySend: () => boolean) => {
      await using owned = new AsyncDisposableStack();
      // A connection of its own: what waits in it goes with it.
      const own = owned.use(
        await openBus({
          ...common,
          creds: keys.hubCreds(),
          name: `xtask hub ${self.id} leads`,
          inboxPrefix: inboxPrefix("hub"),
          maySend,
        }),
      );
      let late: ReturnType<typeof setTimeout> | undefined;
      owned.defer(() => clearTimeout(late));
      const hub = owned.use(
        await startHub({
          bus: own,
          keys,
          address,
          leafPort: options.leafPort,
          ca: tlsCa,
          replicas,
          about: self,
          log: tell,
        }),
      );
      hubs.set(project, hub);
      owned.defer(() => {
        hubs.delete(project);
        // From when it may send nothing more it would wait for answers in vain.
        late = setTimeout(() => void own.connection.close(), maySend() ? FINISH_MS : 0);
      });
      return owned.move();
    };
    const lead = () => startLeading({ bus, self, replicas, begin, log: tell });
    const leading = await patiently(bus, lead, { log: (message) => tell("warn", message), signal });
    projects.push({ project, leading: turns.use(leading) });
  }
  // The page shows what a leader keeps, which is made by the first one.
  await untilSettled(projects, signal);
  const { http, token } = stack.use(
    await startPage({
      ...options.http,
      projects: [first, ...rest],
      sessionsPath: options.sessionsPath,
      unready: () => projects.flatMap(({ project, leading }) => unready(project, leading, hubs.get(project))),
      log,
    }),
  );
  const [owned, led] = [stack.move(), turns.move()];
  return {
    address,
    projects,
    replicas,
    http,
    token,
    failed: Promise.race(opened.map(({ bus }) => closedForGood(bus))),
    async [Symbol.asyncDispose]() {
      await led[Symbol.asyncDispose]();
      await owned[Symbol.asyncDispose]();
    },
  };
}

async function untilSettled(projects: Cluster["projects"], signal: AbortSignal | undefined): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  signal?.addEventListener("abort", () => resolve(), { once: true });
  if (signal?.aborted) resolve();
  await Promise.race([Promise.all(projects.map(({ leading }) => leading.settled)), promise]);
}

function unready(project: string, leading: Leading, hub: Hub | undefined): string[] {
  const { leader, state } = leading;
  switch (state) {
    case "leads":
      return hub?.ready ? [] : [`the hub of project ${project} has no connection to its servers, or is catching up`];
    case "pauses":
      return [`pauses: the servers do not take that it leads project ${project}`];
    case "stands by":
      if (leader === undefined) return [`stands by: nobody is known to lead project ${project}`];
      return [`stands by: ${nameOf(leader)} leads project ${project}`];
    default:
      return state satisfies never;
  }
}

async function openWith(keys: ProjectKeys, options: ConnectOptions): Promise<Bus> {
  try {
    return await openBus({ ...options, creds: keys.hubCreds(), inboxPrefix: inboxPrefix("hub") });
  } catch (thrown) {
    const error = XtaskError.from(thrown);
    if (error.code !== "unauthenticated" || !keys.signs) throw error;
    throw new XtaskError("unauthenticated", `The servers do not know the account of project ${keys.project}`, {
      details: [
        "write what they need: xtask hub config > xtask.conf",
        "include it in the configuration of each of them, then: nats-server --signal reload",
      ],
      cause: error,
    });
  }
}

/** Without what may stand in them to log in with. */
function addressesOf(servers: string): string {
  const { servers: hosts, tls } = parseAddresses(servers);
  return hosts.map((host) => `${tls ? "tls" : "nats"}://${host}`).join(",");
}

/** Tries again what the servers of a cluster cannot do yet. */
async function patiently<T>(
  bus: Bus,
  act: () => Promise<T>,
  { log, signal }: { readonly log: (message: string) => void; readonly signal: AbortSignal | undefined },
): Promise<T> {
  const since = performance.now();
  for (let tries = 1;; tries++) {
    try {
      return await act();
    } catch (thrown) {
      const error = XtaskError.from(thrown);
      const elects = bus.connection.info?.cluster !== undefined && performance.now() - since < ELECTION_MS;
      if (!elects || signal?.aborted || error.code !== "unavailable" && error.code !== "timeout") throw error;
      if (tries === 1) log(`waits for the servers: ${error.message}`);
    }
    await pause(AGAIN_MS, signal);
  }
}
