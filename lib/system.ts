/** The composition root: the only file that builds everything. Tests build from it too. */
import { type Agent, startAgent } from "./agent/agent.ts";
import { assertTrusted, type Certificate } from "./auth/certificate.ts";
import { formatCreds } from "./auth/creds.ts";
import { openKeyring, type ProjectKeys } from "./auth/keyring.ts";
import { generateNkey } from "./auth/nkey.ts";
import type { CapabilityName } from "./capability/registry.ts";
import { connectFleet } from "./client/fleet.ts";
import { openProjects, type Project } from "./http/projects.ts";
import { pageRoutes } from "./http/pages.tsx";
import type { ServeOptions } from "./http/serve.ts";
import { newSecret } from "./http/session.ts";
import { type Http, startHttp } from "./http/start.ts";
import { type Hub, startHub } from "./hub/hub.ts";
import { type Bus, openBus } from "./nats/bus.ts";
import type { ConnectOptions, TlsOptions } from "./nats/connect.ts";
import { addressElsewhere, addressHere, ownTls } from "./nats/own_address.ts";
import { type Server, startServer } from "./nats/server.ts";
import { startLeaf } from "./nats/leaf.ts";
import { hubConfig } from "./nats/server_config.ts";
import { assertJetStream } from "./nats/streams.ts";
import { ancestors } from "./os/ancestors.ts";
import { startGuard } from "./os/guard.ts";
import { lockFolder } from "./os/lock.ts";
import { findsStrays } from "./os/processes.ts";
import { writeSecretFile } from "./os/secret_file.ts";
import { XtaskError } from "./protocol/error.ts";
import type { Labels } from "./protocol/node.ts";
import { inboxPrefix, type Role } from "./protocol/subjects.ts";
import { VERSION } from "./protocol/version.ts";

export { join, type Joined, type JoinOptions } from "./nats/join.ts";

/** Hears what a part has to say: one line. */
export type Log = (part: string, level: "info" | "warn" | "error", message: string) => void;

/** What every agent needs to know of its machine. */
export interface NodeOptions {
  readonly node: string;
  /** The folder that the node offers. */
  readonly dir: string;
  readonly hostname: string;
  readonly labels: Labels;
  readonly slots: number;
  readonly allow: readonly CapabilityName[];
  /** Executables that are not looked for on PATH. */
  readonly known: Readonly<Record<string, string>>;
  /** Environment of child processes. */
  readonly env: Readonly<Record<string, string>>;
  /** The clock. @default {Date.now} */
  readonly now?: () => number;
  readonly log: Log;
}

/** Where and for whom the page and the API are served. */
export interface HttpOptions extends Pick<ServeOptions, "host" | "port" | "tls"> {
  /** Names that the server is called by, beside addresses and `localhost`. */
  readonly names?: readonly string[];
  /** The bearer token that programs have. @default a new one */
  readonly token?: string;
  /** The text of Datastar, the page's script. */
  readonly datastar: string;
}

/** Options of {@linkcode startUp}. */
export interface UpOptions extends NodeOptions {
  /** Where everything is kept. */
  readonly home: string;
  /** Path of nats-server. */
  readonly natsServer: string;
  readonly host: string;
  readonly natsPort: number;
  readonly leafPort: number;
  /** What NATS clients and leaf nodes are shown; without one nothing of NATS is encrypted. */
  readonly certificate?: Certificate;
  readonly http: HttpOptions;
  /** Projects that there are to be, beside those that there are. */
  readonly projects: readonly string[];
  /** Whether this machine is a node as well: of the first project. */
  readonly agent: boolean;
  /** How long a run that may move goes on without a word of the hub. @default {15000} */
  readonly leaseMs?: number;
}

/** A hub with everything around it. Disposing it stops all of it, in order: agent, HTTP, hub, server. */
export interface Up extends UpProject, AsyncDisposable {
  readonly server: Server;
  /** Where programs of this machine reach the server, by a name that its certificate covers. */
  readonly address: string;
  /** The other projects: {@linkcode UpProject.project} is the first one. */
  readonly others: readonly UpProject[];
  readonly http: Http;
  /** What programs send as `Authorization: Bearer`. */
  readonly token: string;
  readonly agent: Agent | undefined;
  /** Rejects when a part cannot go on. */
  readonly failed: Promise<never>;
}

/** A project that a hub serves. */
export interface UpProject {
  readonly project: string;
  readonly hub: Hub;
  /** A credential for the person who started it: the text of a creds file. */
  readonly adminCreds: string;
}

/** The name of the person who started the hub, as credentials tell it. */
export const ADMIN = "admin";
/** The name that the page asks under: an operator, which commands and reads but can neither forge facts nor invite. */
export const PAGE = "page";

/**
 * Starts a hub on this machine, with its server, its HTTP, and the machine as a node.
 *
 * @throws {XtaskError} `conflict` where one runs in this home already or a port is taken
 */
export async function startUp(options: UpOptions, signal?: AbortSignal): Promise<Up> {
  const { home, host, certificate, log } = options;
  if (certificate !== undefined) await assertTrusted(certificate);
  await using stack = new AsyncDisposableStack();
  const folder = `${home}/hub`;
  stack.use(await lockFolder(folder, "A hub"));
  const tls = ownTls(certificate);
  const keyring = await openKeyring(`${folder}/keys.json`, options.projects);
  // Until the hub runs there is nobody to tell of the server's troubles.
  let alert = (_message: string): void => {};
  const started: Started[] = [];
  const server = stack.use(
    await startServer({
      program: options.natsServer,
      home: `${folder}/nats`,
      host,
      port: options.natsPort,
      leafPort: options.leafPort,
      ...(certificate === undefined ? {} : { tls: certificate }),
      config: hubConfig(`${folder}/nats`, keyring.trust),
      probe: (url, within) => probe(keyring.projects[0], { servers: url, ...tls, signal: within }),
      onChange: ({ state, reason, died }) => {
        log("server", state === "died" ? "error" : "info", reason);
        if (state === "restarted") alert(`nats-server died and was started again: ${died}`);
      },
      onStore(reason) {
        if (reason !== undefined) log("server", "error", `its store cannot be written: ${reason}`);
        for (const { hub } of started) hub.storeTrouble(reason);
      },
    }, signal),
  );
  const [own, ...others] = keyring.projects;
  const begin = async (keys: ProjectKeys) => {
    const project = stack.use(await startProject(keys, { ...options, server, home: folder }, signal));
    started.push(project);
    return project;
  };
  const first = await begin(own);
  const rest: Started[] = [];
  for (const keys of others) rest.push(await begin(keys));
  alert = (message) => first.hub.alert("critical", message);
  let agent: Agent | undefined;
  const { http, token } = stack.use(
    await startPage({
      ...options.http,
      projects: [first, ...rest],
      sessionsPath: `${folder}/sessions.json`,
      unready: () => [
        ...[first, ...rest].filter(({ hub }) => !hub.ready).map(({ project }) =>
          `the hub of project ${project} has no connection to its server, or is catching up`
        ),
        // Whoever waits for this may ask for something there next.
        ...(options.agent && agent === undefined ? [`this machine's node ${options.node} is starting`] : []),
      ],
      log,
    }),
  );
  if (options.agent) {
    const creds = await nodeCreds(`${home}/agent/${options.node}.creds`, own, options.node);
    agent = stack.use(
      await startNode({
        ...options,
        home: `${home}/agent`,
        servers: server.url,
        ...tls,
        creds,
        alsoProtected: () => [server.pid],
      }, signal),
    );
  }
  const owned = stack.move();
  return {
    ...first,
    others: rest,
    server,
    address: addressHere(server, certificate),
    http,
    token,
    agent,
    failed: Promise.race([server.failed, agent?.failed].filter((promise) => promise !== undefined)),
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

/** A project whose hub runs, with the page's way to ask it. */
interface Started extends UpProject, Project, AsyncDisposable {}

async function startProject(
  keys: ProjectKeys,
  { server, home, host, certificate, leaseMs, log }: UpOptions & { readonly server: Server },
  signal: AbortSignal | undefined,
): Promise<Started> {
  await using stack = new AsyncDisposableStack();
  const common = { servers: server.url, ...ownTls(certificate), ...signalOf(signal) };
  const bus = stack.use(
    await openBus({ ...common, creds: keys.hubCreds(), name: "xtask hub", inboxPrefix: inboxPrefix("hub") }),
  );
  const hub = stack.use(
    await startHub({
      bus,
      keys,
      address: addressElsewhere(host, server.port, certificate),
      leafPort: server.leafPort,
      ca: certificate?.ca,
      store: home,
      leaseMs,
      log: (level, message) => log(`hub ${keys.project}`, level, message),
    }),
  );
  const creds = newCreds(keys, "operator", PAGE);
  const fleet = stack.use(
    await connectFleet({ ...common, creds, name: "xtask page", inboxPrefix: inboxPrefix(PAGE) }),
  );
  const owned = stack.move();
  return {
    project: keys.project,
    hub,
    fleet,
    adminCreds: newCreds(keys, "admin", ADMIN),
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

/** Options of {@linkcode startPage}. */
export interface PageOptions extends HttpOptions {
  /** What is served; the first one is shown where none is named. */
  readonly projects: readonly [Project, ...Project[]];
  /** Where sessions are kept. Without it they end with the process. */
  readonly sessionsPath?: string;
  /** What is not ready, one line each. */
  readonly unready: () => readonly string[];
  readonly log: Log;
}

/** The page, served. */
export interface Page extends AsyncDisposable {
  readonly http: Http;
  /** What programs send as `Authorization: Bearer`. */
  readonly token: string;
}

/**
 * Serves the page and the API of fleets, whether their hub runs in this process or far away.
 *
 * @throws {XtaskError} `conflict` for a port that is taken, `invalid` for a certificate that does not do
 */
export async function startPage(options: PageOptions): Promise<Page> {
  const { datastar, token = newSecret() } = options;
  const log = (message: string) => options.log("http", "warn", message);
  await using stack = new AsyncDisposableStack();
  const projects = stack.use(await openProjects(options.projects, log));
  const pages = pageRoutes({ datastar, log });
  const http = stack.use(await startHttp({ ...options, projects, token, version: VERSION, log, pages }));
  const owned = stack.move();
  return { http, token, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}

/** Options of {@linkcode startNode}. */
export interface AgentNodeOptions extends NodeOptions {
  /** Where the agent keeps its journal. */
  readonly home: string;
  readonly servers: string | string[];
  /** Text of the node's creds file. */
  readonly creds: string;
  readonly tls?: TlsOptions;
  /** Waits for a hub that is not there yet, as after a power cut that took both. */
  readonly patient?: boolean;
  /** Makes it a leaf node, with a server of its own; `creds` are then those of its link. */
  readonly leaf?: LeafNodeOptions;
  /** Processes that no command may end, beside the agent and its ancestors. */
  readonly alsoProtected?: () => readonly number[];
}

/** What makes a node a leaf node. */
export interface LeafNodeOptions {
  /** Path of nats-server. */
  readonly natsServer: string;
  /** Where the hub takes leaf nodes. */
  readonly port: number;
  /** The node's project at the hub. */
  readonly project: string;
}

/** A running node. Disposing it drains its agent, then stops its server if it has one. */
export interface RunningNode extends Agent {
  /** Where programs of this machine reach the leaf node's own server: a secret. */
  readonly localAddress: string | undefined;
}

/** Starts this machine as a node of a hub. */
export async function startNode(options: AgentNodeOptions, signal?: AbortSignal): Promise<RunningNode> {
  const { servers, creds, node, home, tls, leaf, log, alsoProtected = () => [] } = options;
  await using stack = new AsyncDisposableStack();
  const warn = (message: string) => log(`agent ${node}`, "warn", message);
  const guard = stack.use(await startGuard(warn));
  let storeTrouble: string | undefined;
  const own = leaf === undefined ? undefined : stack.use(
    await startLeaf({
      ...options,
      program: leaf.natsServer,
      home: `${home}/leaf`,
      leafPort: leaf.port,
      env: guard?.env,
      ...(tls?.ca === undefined ? {} : { tlsCa: tls.ca }),
      onChange: ({ state, reason }) => log("server", state === "died" ? "error" : "info", reason),
      onStore(reason) {
        if (reason !== undefined) log("server", "error", `its store cannot be written: ${reason}`);
        storeTrouble = reason;
      },
    }, signal),
  );
  const bus = stack.use(
    await openBus({
      ...(own === undefined ? { servers, creds, ...(tls && { tls }) } : { servers: own.address }),
      name: `xtask agent ${node}`,
      waitOnFirstConnect: options.patient ?? false,
      inboxPrefix: inboxPrefix(node),
      ...signalOf(signal),
    }),
  );
  const above = await ancestors();
  if (Deno.build.os !== "windows" && !await findsStrays()) {
    warn("There is no ps here: a program that leaves its run's process group will not be ended");
  }
  const agent = stack.use(
    await startAgent({
      ...options,
      bus,
      guard,
      storeTrouble: () => storeTrouble,
      protectedPids: () => [Deno.pid, ...above, ...(own === undefined ? [] : [own.pid]), ...alsoProtected()],
      log: (level, message) => log(`agent ${node}`, level, message),
    }),
  );
  const owned = stack.move();
  return {
    get record() {
      return agent.record;
    },
    unavailable: agent.unavailable,
    localAddress: own?.address,
    failed: Promise.race([agent.failed, closedForGood(bus), ...(own === undefined ? [] : [own.failed])]),
    drain: (within) => agent.drain(within),
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

async function probe(keys: ProjectKeys, options: Pick<ConnectOptions, "servers" | "tls" | "signal">): Promise<void> {
  await using bus = await openBus({ ...options, creds: keys.hubCreds(), reconnect: false, timeoutMs: 2_000 });
  await assertJetStream(bus);
}

/** The local node's credential, made on its first start; again where the hub's keys are others now. */
async function nodeCreds(path: string, keys: ProjectKeys, node: string): Promise<string> {
  const creds = newCreds(keys, "node", node);
  await Deno.mkdir(path.slice(0, path.lastIndexOf("/")), { recursive: true, mode: 0o700 });
  await writeSecretFile(path, creds);
  return creds;
}

/** A credential whose key is made here. */
export function newCreds(keys: ProjectKeys, role: Role, name: string): string {
  const key = generateNkey("user");
  return formatCreds(keys.issue({ role, name, publicKey: key.publicKey }), key.seed);
}

/** Rejects when a connection is closed for good. */
export async function closedForGood(bus: Bus): Promise<never> {
  const reason = await bus.closed();
  if (reason === undefined) return await new Promise<never>(() => {});
  throw new XtaskError("unauthenticated", `The hub closed the connection for good: ${reason.message}`, {
    cause: reason,
  });
}

function signalOf(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}
