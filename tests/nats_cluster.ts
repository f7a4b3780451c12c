/** Real nats-servers as a cluster on loopback, each on an address of its own with the same ports, as machines have them. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { type Keyring, openKeyring } from "../lib/auth/keyring.ts";
import { clusterConfigText } from "../lib/nats/server_config.ts";
import { asset } from "../scripts/assets.ts";
import { freePorts } from "./free_ports.ts";
import { until } from "./until.ts";

/** Every address of 127.0.0.0/8 is this machine's own: elsewhere than on Linux only the first is, unless it is set up. */
export const CLUSTERS_HERE = Deno.build.os === "linux";

/** A server of a cluster. */
export interface ClusterServer {
  readonly name: string;
  /** `nats://127.0.0.N:port` */
  readonly url: string;
  readonly pid: number;
  /** Kills it. */
  kill(): Promise<void>;
  /** Starts it again on the same store; resolves when it says that it is well. */
  start(): Promise<void>;
  /** What it tells of itself: `/connz`, `/jsz`. */
  monitor<T>(path: string): Promise<T>;
}

/** A cluster. Disposing it kills its servers. */
export interface TestCluster extends AsyncDisposable {
  readonly servers: readonly [ClusterServer, ClusterServer, ClusterServer];
  /** Addresses of all, with commas between. */
  readonly url: string;
  readonly leafPort: number;
  /** The keys whose accounts the servers know. */
  readonly keyring: Keyring;
  readonly keysPath: string;
}

const SIZE = 3;
const WELL_MS = 60_000;

/**
 * Starts three servers that know the projects' accounts, in a folder that there is. Resolves when they have agreed on a leader.
 */
export async function startTestCluster(folder: string, projects: readonly string[] = []): Promise<TestCluster> {
  const keysPath = join(folder, "keys.json");
  const keyring = await openKeyring(keysPath, projects);
  const [port, leafPort, routePort, monitorPort] = freePorts(4);
  assert.ok(port !== undefined && leafPort !== undefined && routePort !== undefined && monitorPort !== undefined);
  const hosts = Array.from({ length: SIZE }, (_, index) => `127.0.0.${index + 1}`);
  await using stack = new AsyncDisposableStack();
  const text = clusterConfigText(keyring.trust, leafPort);
  const servers = await Promise.all(hosts.map(async (host, index) => {
    const name = `n${index + 1}`;
    const dir = join(folder, name);
    await Deno.mkdir(dir);
    // Several on one machine cannot take leaf nodes on all of its addresses.
    await Deno.writeTextFile(join(dir, "xtask.conf"), text.replace("leafnodes: {", `leafnodes: { "host": "${host}",`));
    const own = {
      server_name: name,
      listen: `${host}:${port}`,
      http: `${host}:${monitorPort}`,
      store_dir: join(dir, "store"),
      cluster: {
        name: "test",
        listen: `${host}:${routePort}`,
        routes: hosts.map((one) => `nats://${one}:${routePort}`),
      },
    };
    const lines = Object.entries(own).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
    await Deno.writeTextFile(join(dir, "server.conf"), ['include "xtask.conf"', ...lines].join("\n"));
    return stack.use(clusterServer(name, dir, `nats://${host}:${port}`, `http://${host}:${monitorPort}`));
  }));
  await Promise.all(servers.map((server) => server.start()));
  const owned = stack.move();
  return {
    servers: servers as unknown as TestCluster["servers"],
    url: servers.map(({ url }) => url).join(","),
    leafPort,
    keyring,
    keysPath,
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

function clusterServer(name: string, dir: string, url: string, monitor: string): ClusterServer & AsyncDisposable {
  let child: Deno.ChildProcess | undefined;
  const kill = async () => {
    const killed = child;
    child = undefined;
    killed?.kill("SIGKILL");
    await killed?.status;
  };
  const ask = async <T>(path: string): Promise<T> => await (await fetch(`${monitor}${path}`)).json();
  return {
    name,
    url,
    get pid() {
      assert.ok(child !== undefined, `${name} runs`);
      return child.pid;
    },
    kill,
    async start() {
      const args = ["-c", "server.conf", "-l", join(dir, "server.log")];
      child = new Deno.Command(await asset("nats-server"), {
        args,
        cwd: dir,
        stdin: "null",
        stdout: "null",
        stderr: "null",
      })
        .spawn();
      await until(`${name} to be well`, async () => {
        const health = await ask<{ status: string }>("/healthz").catch(() => undefined);
        return health?.status === "ok";
      }, { timeoutMs: WELL_MS }).catch(async (error) => {
        throw new Error(`${error.message}\n${(await Deno.readTextFile(join(dir, "server.log"))).slice(-3_000)}`);
      });
    },
    monitor: ask,
    [Symbol.asyncDispose]: kill,
  };
}
