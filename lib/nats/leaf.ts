/** The server that a leaf node has of its own: for this machine alone, linked with the hub's. */
import { lockFolder } from "../os/lock.ts";
import { writeSecretFile } from "../os/secret_file.ts";
import { parseAddresses } from "./address.ts";
import { openBus } from "./bus.ts";
import { type Server, type ServerOptions, startServer } from "./server.ts";
import { LEAF_USER, leafConfig } from "./server_config.ts";
import { assertJetStream } from "./streams.ts";

/** Options of {@linkcode startLeaf}. */
export interface LeafOptions extends Pick<ServerOptions, "program" | "home" | "env" | "onChange" | "onStore"> {
  readonly node: string;
  /** Addresses of the hub as people write them. Leaf nodes connect to another port of the same hosts. */
  readonly servers: string | readonly string[];
  readonly leafPort: number;
  /** Text of the link's creds file. */
  readonly creds: string;
  /** PEM of a certificate authority to trust beside the system's. */
  readonly tlsCa?: string;
}

/** A running server of a leaf node. Disposing it stops it. */
export interface Leaf extends Server {
  /** Where this machine's programs connect: with user and password, so it is a secret. */
  readonly address: string;
}

/**
 * Starts the server. It serves when this resolves, with a link or without.
 *
 * @throws {XtaskError} `unavailable` where it does not come up, `conflict` where another agent has one in this folder
 */
export async function startLeaf(options: LeafOptions, signal?: AbortSignal): Promise<Leaf> {
  const { program, home, node, servers, leafPort, creds, tlsCa, env, onChange, onStore } = options;
  const password = crypto.randomUUID();
  const files = { creds: `${home}/link.creds`, ca: `${home}/ca.pem` };
  await using stack = new AsyncDisposableStack();
  // A server that is there already is taken for one that a killed agent left, and ended.
  stack.use(await lockFolder(home, "An agent"));
  await writeSecretFile(files.creds, creds);
  if (tlsCa !== undefined) await Deno.writeTextFile(files.ca, tlsCa);
  const addressAt = (url: string) => url.replace("://", `://${LEAF_USER}:${password}@`);
  const server = stack.use(
    await startServer({
      program,
      home,
      env,
      host: "127.0.0.1",
      port: 0,
      config: leafConfig(home, {
        node,
        password,
        remotes: leafAddresses(servers, leafPort),
        creds: files.creds,
        ...(tlsCa === undefined ? {} : { tlsCa: files.ca }),
      }),
      probe: async (url, within) => {
        await using bus = await openBus({
          servers: addressAt(url),
          reconnect: false,
          timeoutMs: 2_000,
          signal: within,
        });
        await assertJetStream(bus);
      },
      onChange,
      onStore,
    }, signal),
  );
  const owned = stack.move();
  return {
    url: server.url,
    port: server.port,
    leafPort: undefined,
    get pid() {
      return server.pid;
    },
    failed: server.failed,
    address: addressAt(server.url),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

function leafAddresses(servers: string | readonly string[], port: number): string[] {
  const { servers: hosts, tls } = parseAddresses(servers);
  return hosts.map((host) => `${tls ? "tls" : "nats-leaf"}://${host.slice(0, host.lastIndexOf(":"))}:${port}`);
}
