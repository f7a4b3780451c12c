/**
 * A real fleet for one test: a hub with its nats-server in this process, and nodes that joined with real invitations, in
 * this process too unless a compiled xtask is tested.
 */
import assert from "node:assert/strict";
import { basename, dirname, join as joinPath } from "node:path";
import type { Agent } from "../lib/agent/agent.ts";
import type { InviteRole } from "../lib/auth/invite.ts";
import type { CapabilityName } from "../lib/capability/registry.ts";
import { type Bus, openBus } from "../lib/nats/bus.ts";
import { type Labels, NodeRecord } from "../lib/protocol/node.ts";
import { parseJson } from "../lib/protocol/parse.ts";
import { statusSubject } from "../lib/protocol/subjects.ts";
import { type AgentNodeOptions, join, type Log, startNode, startUp, type Up } from "../lib/system.ts";
import { asset, pageScript } from "../scripts/assets.ts";
import { freePorts } from "./free_ports.ts";
import { surroundings } from "./surroundings.ts";
import { PROGRAM, spawnXtask } from "./xtask_process.ts";

/** A node to be started. */
export interface NodeSpec {
  readonly id: string;
  readonly labels?: Labels;
  readonly slots?: number;
  readonly allow?: readonly CapabilityName[];
  /** Makes it a leaf node, always in this process. `port` is where it dials the hub, in place of the hub's own leaf port. */
  readonly leaf?: { readonly port?: number };
  /** Its clock, in this process. @default {Date.now} */
  readonly now?: () => number;
  /** Where it keeps its journal, instead of in the fleet's folder. Its last part is `agent`. */
  readonly home?: string;
}

/** Options of {@linkcode startFleet}. */
export interface FleetOptions {
  /** Ids, or more about each. @default {["n1"]} */
  readonly nodes?: readonly (string | NodeSpec)[];
  /** @default {["task", "which", "silent"]} */
  readonly allow?: readonly CapabilityName[];
  /** @default {2} */
  readonly slots?: number;
  /** Projects of the hub. @default {["default"]} */
  readonly projects?: readonly string[];
  /** How long the lease of a run that may move is. */
  readonly leaseMs?: number;
  /** A Taskfile in place of that of the example project. */
  readonly taskfile?: string;
}

/** A node of the fleet. */
export interface FleetNode {
  /** Disposing it stops the agent in order. */
  readonly agent: AsyncDisposable;
  /** Text of the credential that it joined with. */
  readonly creds: string;
  readonly home: string;
  /** The folder that it offers: a copy of examples/wordcount. */
  readonly dir: string;
  /** Where programs of its machine reach a leaf node's own server. */
  readonly localAddress?: string | undefined;
}

/** A running fleet. Disposing it stops everything and removes its folders. */
export interface TestFleet extends AsyncDisposable {
  readonly up: Up;
  readonly url: string;
  /** The folder of everything. */
  readonly folder: string;
  /** The person who started the hub, connected as any NATS client connects: with nothing but the credential. */
  readonly admin: Bus;
  node(id: string): FleetNode;
  /** A credential for somebody new, by invitation. */
  join(role: InviteRole, name: string, options?: { leaf?: boolean }): Promise<string>;
  /** Connects; the connection closes with the fleet. */
  connect(creds: string, options?: { inboxPrefix?: string; reconnect?: boolean }): Promise<Bus>;
  /** Starts one more node, or one that was stopped again. */
  start(spec: string | NodeSpec): Promise<FleetNode>;
  /** As {@linkcode start}, in this process whatever is tested: for what only the agent itself can tell. */
  startHere(spec: NodeSpec): Promise<Agent>;
  /** A node's own word of itself. */
  record(id: string): Promise<NodeRecord>;
  /** What the hub and the agents had to say. */
  logText(): string;
}

const EXAMPLE = new URL("../examples/wordcount/", import.meta.url);

/** Starts a fleet; resolves when every node takes commands. */
export async function startFleet(options: FleetOptions = {}): Promise<TestFleet> {
  const { nodes: specs = ["n1"], allow = ["task", "which", "silent"], slots = 2, taskfile } = options;
  await using stack = new AsyncDisposableStack();
  // What is started later belongs to the fleet as well.
  let owner = stack;
  const folder = await temporaryFolder(stack);
  const lines: string[] = [];
  const log: Log = (part, level, message) => void lines.push(`${level} ${part}: ${message}`);
  const [natsPort = 0, leafPort = 0] = freePorts(2);
  const up = stack.use(
    await startUp({
      ...await machine({ id: "unused", slots, allow }, folder, log),
      home: `${folder}/hub`,
      natsServer: await asset("nats-server"),
      host: "127.0.0.1",
      natsPort,
      leafPort,
      http: { host: "127.0.0.1", port: 0, datastar: await Deno.readTextFile(await pageScript()) },
      projects: options.projects ?? [],
      agent: false,
      ...(options.leaseMs === undefined ? {} : { leaseMs: options.leaseMs }),
    }),
  );
  const { url } = up.server;
  const connect: TestFleet["connect"] = async (creds, more = {}) =>
    owner.use(await openBus({ servers: url, creds, ...more }));
  const joinAs: TestFleet["join"] = async (role, name, more = {}) => {
    const { token } = await up.hub.invite(role);
    return (await join({ servers: url, token, name, ...more })).creds;
  };
  const nodes = new Map<string, FleetNode>();
  const settled = async (given: string | NodeSpec) => {
    const spec = { slots, allow, ...(typeof given === "string" ? { id: given } : given) };
    const { id } = spec;
    const dir = `${folder}/${id}/project`;
    await copyProject(dir, taskfile);
    return {
      spec,
      dir,
      home: spec.home ?? `${folder}/${id}/agent`,
      creds: nodes.get(id)?.creds ?? await joinAs("node", id, { leaf: spec.leaf !== undefined }),
    };
  };
  const hereWith = async ({ spec, dir, home, creds }: Awaited<ReturnType<typeof settled>>) => {
    const leaf = spec.leaf === undefined ? {} : {
      leaf: {
        natsServer: await asset("nats-server"),
        port: spec.leaf.port ?? up.server.leafPort ?? 0,
        project: up.project,
      },
    };
    const settings: AgentNodeOptions = { ...await machine(spec, dir, log), home, servers: url, creds, ...leaf };
    return owner.use(await startNode(settings));
  };
  const start: TestFleet["start"] = async (given) => {
    const all = await settled(given);
    const { spec, dir, home, creds } = all;
    const here = PROGRAM === undefined || spec.leaf !== undefined;
    const running = here ? await hereWith(all) : undefined;
    const agent = running ?? owner.use(await startProcess(url, all, lines));
    const node = { agent, creds, home, dir, localAddress: running?.localAddress };
    nodes.set(spec.id, node);
    return node;
  };
  for (const spec of specs) await start(spec);
  const admin = await connect(up.adminCreds);
  owner = stack.move();
  return {
    up,
    url,
    folder,
    admin,
    connect,
    join: joinAs,
    start,
    startHere: async (spec) => await hereWith(await settled(spec)),
    async record(id) {
      return parseJson(NodeRecord, (await admin.request(statusSubject(id), "")).text(), `record of ${id}`);
    },
    node(id) {
      const node = nodes.get(id);
      if (node === undefined) throw new Error(`No node '${id}' was started`);
      return node;
    },
    logText: () => lines.join("\n"),
    [Symbol.asyncDispose]: () => owner[Symbol.asyncDispose](),
  };
}

interface Settled {
  readonly spec: Required<Pick<NodeSpec, "id" | "slots" | "allow">> & NodeSpec;
  readonly dir: string;
  readonly home: string;
  readonly creds: string;
}

/** The tested program as a node. */
async function startProcess(
  url: string,
  { spec, dir, home, creds }: Settled,
  lines: string[],
): Promise<AsyncDisposable> {
  const { id, slots, allow, labels = {} } = spec;
  assert.equal(basename(home), "agent", "xtask keeps a node's journal in a folder of that name");
  const file = `${dirname(home)}/${id}.creds`;
  await Deno.writeTextFile(file, creds, { mode: 0o600 });
  const words = ["--hub", url, "--name", id, "--dir", dir, "--slots", String(slots), "--allow", allow.join(",")];
  const labelled = Object.entries(labels).flatMap(([name, value]) => ["--label", `${name}=${value}`]);
  const process = await spawnXtask(["agent", "--json", ...words, ...labelled], {
    home: dirname(home),
    cwd: dir,
    env: { XTASK_NATS_CREDS: file },
  });
  await process.ready();
  let stopped = false;
  return {
    async [Symbol.asyncDispose]() {
      if (stopped) return;
      stopped = true;
      process.kill("SIGTERM");
      await process.status;
      await process[Symbol.asyncDispose]();
      lines.push(process.stderrText());
    },
  };
}

/** A folder that goes with the stack. Its path has no symbolic link in it, as folders of nodes have none. */
export async function temporaryFolder(stack: AsyncDisposableStack): Promise<string> {
  const folder = await Deno.realPath(await Deno.makeTempDir({ prefix: "xtask-test-" }));
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  return folder;
}

/** Copies the example project, with another Taskfile if there is one given. */
export async function copyProject(to: string, taskfile?: string): Promise<void> {
  await copyFolder(EXAMPLE, to);
  if (taskfile !== undefined) await Deno.writeTextFile(joinPath(to, "Taskfile.yml"), taskfile);
}

async function copyFolder(from: URL, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    // What a run of the example in place may have left.
    if (["dist", ".task"].includes(name)) continue;
    if (isDirectory) await copyFolder(new URL(`${name}/`, from), joinPath(to, name));
    else await Deno.copyFile(new URL(name, from), joinPath(to, name));
  }
}

async function machine(spec: Required<Pick<NodeSpec, "id" | "slots" | "allow">> & NodeSpec, dir: string, log: Log) {
  const { id, slots, allow, labels = {} } = spec;
  return {
    node: id,
    dir,
    hostname: "test-machine",
    labels,
    slots,
    allow,
    known: { task: await asset("task") },
    env: surroundings(),
    ...(spec.now === undefined ? {} : { now: spec.now }),
    log,
  };
}
