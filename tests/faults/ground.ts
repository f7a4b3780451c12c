/** A hub and nodes as processes of their own, which a test may kill one by one and start again as they were. */
import { type Bus, openBus } from "../../lib/nats/bus.ts";
import { serverMark } from "../../lib/nats/server.ts";
import { readStream, STREAM } from "../../lib/nats/streams.ts";
import { endProcesses, sendSignal, survivors } from "../../lib/os/processes.ts";
import { hubSubject, storedResults } from "../../lib/protocol/subjects.ts";
import { join } from "../../lib/system.ts";
import { copyProject } from "../fleet.ts";
import { portFlags } from "../free_ports.ts";
import { until } from "../until.ts";
import { guardsOf } from "./children.ts";
import { spawnXtask, xtask, type XtaskProcess } from "../xtask_process.ts";

/** A hub in a process of its own. It keeps its ports when it starts again. */
export interface HubProcess {
  readonly home: string;
  readonly url: string;
  readonly leafPort: number;
  readonly httpUrl: string;
  /** The bearer token of programs. */
  readonly token: string;
  /** Of its process. */
  readonly pid: number;
  /** The person who started it, connected as any program is, through its restarts too. */
  readonly admin: Bus;
  readonly adminCreds: string;
  serverPid(): Promise<number>;
  /** Kills its process; its nats-server goes on, as it then does. */
  kill(): Promise<void>;
  /** Kills its nats-server, which its process starts again. */
  killServer(): Promise<void>;
  /** Starts it again. Resolves when it serves. */
  start(): Promise<void>;
}

/** Starts a hub; it ends with the stack. */
export async function startHubProcess(stack: AsyncDisposableStack, folder: string): Promise<HubProcess> {
  const home = `${folder}/hub`;
  await Deno.mkdir(home, { recursive: true });
  const mark = serverMark(`${home}/hub/nats`);
  stack.defer(async () => void await endProcesses({ groups: [], mark }));
  const ports = portFlags();
  let running: XtaskProcess;
  const start = async () => {
    running = stack.use(await spawnXtask(["up", "--json", "--no-agent", ...ports], { home }));
    return await running.ready();
  };
  const { natsUrl: url = "", leafPort, httpUrl = "" } = await start();
  const { NATS_CREDS, XTASK_TOKEN } = JSON.parse((await xtask(["env", "--json"], { home })).stdout);
  const adminCreds = await Deno.readTextFile(NATS_CREDS);
  const admin = stack.use(await openBus({ servers: url, creds: adminCreds }));
  const serverPid = () => until("the hub's server", async () => (await survivors({ groups: [], mark }))[0]);
  return {
    home,
    url,
    leafPort: Number(leafPort),
    httpUrl,
    token: XTASK_TOKEN,
    get pid() {
      return running.pid;
    },
    admin,
    adminCreds,
    serverPid,
    async start() {
      await start();
      await admin.whenUp(AbortSignal.timeout(30_000));
    },
    async kill() {
      running.kill("SIGKILL");
      await running.status;
    },
    async killServer() {
      sendSignal(await serverPid(), "SIGKILL");
    },
  };
}

/** How {@linkcode startNodeProcess} starts a node. */
export interface NodeProcessOptions {
  readonly id: string;
  /** Makes it a leaf node, which dials the hub at this port. */
  readonly leafPort?: number;
  readonly taskfile?: string;
  /** @default {2} */
  readonly slots?: number;
}

/** A node in a process of its own. */
export interface NodeProcess {
  readonly id: string;
  readonly home: string;
  /** The folder that it offers. */
  readonly dir: string;
  /** Of its agent. */
  readonly pid: number;
  stderrText(): string;
  /** Kills its agent; what it started, a leaf node's own server too, is ended by its guard then. */
  kill(): Promise<void>;
  /** Kills a leaf node's own server, which its agent starts again. */
  killServer(): Promise<void>;
  /** Kills agent, guard and server at once, as the end of a machine does. */
  crash(): Promise<void>;
  /** Starts it again. Resolves when it takes commands. */
  start(): Promise<void>;
  /** Ends it in order. */
  stop(): Promise<void>;
  /** Connects to a leaf node's own server, as programs of its machine do. */
  connect(): Promise<Bus>;
}

/** Lets a node join and starts it; it ends with the stack. */
export async function startNodeProcess(
  stack: AsyncDisposableStack,
  hub: Pick<HubProcess, "url" | "admin">,
  folder: string,
  { id, leafPort, taskfile, slots = 2 }: NodeProcessOptions,
): Promise<NodeProcess> {
  const [home, dir] = [`${folder}/${id}`, `${folder}/${id}/project`];
  await copyProject(dir, taskfile);
  const invited = await hub.admin.request(hubSubject("auth", "invite"), JSON.stringify({ role: "node" }));
  const { token } = JSON.parse(invited.text());
  const { creds, project } = await join({ servers: hub.url, token, name: id, leaf: leafPort !== undefined });
  await Deno.mkdir(`${home}/agent`, { recursive: true, mode: 0o700 });
  await Deno.writeTextFile(`${home}/agent/${id}.creds`, creds, { mode: 0o600 });
  // As joining leaves it, but for the port, which may be that of a relay.
  if (leafPort !== undefined) {
    await Deno.writeTextFile(`${home}/agent/${id}.leaf.json`, JSON.stringify({ project, leafPort }));
  }
  const mark = serverMark(`${home}/agent/leaf`);
  stack.defer(async () => void await endProcesses({ groups: [], mark }));
  let running: XtaskProcess;
  const start = async () => {
    const words = [
      "--hub",
      hub.url,
      "--name",
      id,
      "--dir",
      dir,
      "--slots",
      String(slots),
      "--allow",
      "task,which,silent",
    ];
    running = stack.use(await spawnXtask(["agent", "--json", ...words], { home, cwd: dir }));
    await running.ready();
  };
  await start();
  return {
    id,
    home,
    dir,
    start,
    get pid() {
      return running.pid;
    },
    stderrText: () => running.stderrText(),
    async kill() {
      running.kill("SIGKILL");
      await running.status;
    },
    async killServer() {
      const pid = await until(`the server of ${id}`, async () => (await survivors({ groups: [], mark }))[0]);
      sendSignal(pid, "SIGKILL");
    },
    async crash() {
      const guards = Deno.build.os === "linux" ? guardsOf(running.pid) : [];
      const all = [...guards, running.pid, ...await survivors({ groups: [], mark })];
      for (const pid of all) sendSignal(pid, "SIGKILL");
      await running.status;
    },
    async stop() {
      running.kill("SIGTERM");
      await running.status;
    },
    async connect() {
      const { url } = JSON.parse(await Deno.readTextFile(`${home}/config/contexts/node.json`));
      return stack.use(await openBus({ servers: url }));
    },
  };
}

/** How often each command has a result in the hub's stream, by `command.node`. */
export async function resultsOf(bus: Bus): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  const reading = { subjects: [storedResults("*")], from: "first" as const };
  for await (const { subject } of readStream(bus, STREAM.results, reading)) {
    const [, , id, node] = subject.split(".");
    counts.set(`${id}.${node}`, (counts.get(`${id}.${node}`) ?? 0) + 1);
  }
  return counts;
}
