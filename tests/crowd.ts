/**
 * Many leaf nodes' links on one machine: nats-servers with an account for each, each linked with the hub by a credential and
 * a connection of its own, and for each a forwarder with a journal and a store of its own. What is left out is what runs on a
 * node.
 */
import { jetstreamManager, StorageType } from "@nats-io/jetstream";
import { Forwarder } from "../lib/agent/forwarder.ts";
import { Journal } from "../lib/agent/journal.ts";
import { formatCreds } from "../lib/auth/creds.ts";
import { openKeyring } from "../lib/auth/keyring.ts";
import { generateNkey } from "../lib/auth/nkey.ts";
import { type Bus, openBus } from "../lib/nats/bus.ts";
import { FIRST_INFO, redialPause } from "../lib/nats/server_config.ts";
import { publishStored } from "../lib/nats/uplink.ts";
import { inboxPrefix, OUT_ANY, outOf, upEvent } from "../lib/protocol/subjects.ts";
import type { TestFleet } from "./fleet.ts";
import { startTestServer, type TestServer } from "./nats_server.ts";

/** One of them. */
export interface Linked {
  readonly id: string;
  readonly bus: Bus;
  readonly forwarder: Forwarder;
  /** Puts events into its store, as its outbox does. */
  report(count: number): Promise<void>;
}

/** All of them. */
export interface Crowd {
  readonly nodes: readonly Linked[];
  /** How often a forwarder found trouble other than that there is no link. */
  readonly troubles: readonly string[];
  /** How many links were made, those that came to nothing included. */
  dials(): number;
}

/** One with many more accounts takes long to start. */
const PER_SERVER = 100;
/** So many connect at the same time; a test is no flood of its own. */
const AT_ONCE = 32;

/** Starts them; they end with the stack. */
export async function startCrowd(stack: AsyncDisposableStack, fleet: TestFleet, count: number): Promise<Crowd> {
  const { projects: [keyring] } = await openKeyring(`${fleet.folder}/hub/hub/keys.json`, []);
  const folder = `${fleet.folder}/crowd`;
  await Deno.mkdir(folder);
  const ids = Array.from({ length: count }, (_, n) => `c${n}`);
  for (const id of ids) {
    const { publicKey, seed } = generateNkey("user");
    const creds = formatCreds(keyring.issue({ role: "leaf", name: id, publicKey }), seed);
    await Deno.writeTextFile(`${folder}/${id}.creds`, creds, { mode: 0o600 });
  }
  const remote = (id: string) => ({
    urls: [`nats-leaf://127.0.0.1:${fleet.up.server.leafPort}`],
    account: id,
    credentials: `${folder}/${id}.creds`,
    ignore_discovered_servers: true,
    first_info_timeout: FIRST_INFO,
  });
  const urls = new Map<string, string>();
  const servers: TestServer[] = [];
  for (let at = 0; at < count; at += PER_SERVER) {
    const some = ids.slice(at, at + PER_SERVER);
    const server = stack.use(await startServerOf(some, `crowd-${at}`, remote));
    servers.push(server);
    for (const id of some) urls.set(id, server.url.replace("://", `://${id}:${id}@`));
  }
  const troubles: string[] = [];
  const start = async (id: string): Promise<Linked> => {
    const bus = stack.use(
      await openBus({ servers: urls.get(id) ?? "", inboxPrefix: inboxPrefix(id), timeoutMs: 60_000 }),
    );
    const manager = await jetstreamManager(bus.connection, { checkAPI: false });
    await manager.streams.add({ name: "OUT", subjects: [OUT_ANY], storage: StorageType.Memory, allow_direct: true });
    const journal = stack.use(new Journal(`${folder}/${id}.sqlite`));
    const forwarder = stack.use(
      await Forwarder.start({
        ...{ bus, node: id, store: "s", journal, onContact: () => {} },
        onTrouble: (error) => void troubles.push((error as Error).message),
      }),
    );
    let made = 0;
    const report = async (count: number) => {
      for (let n = 0; n < count; n++) {
        const at = new Date().toISOString();
        const payload = new TextEncoder().encode(
          JSON.stringify({ type: "alert", at, node: id, severity: "info", message: `${id} ${made++}` }),
        );
        const subject = outOf(upEvent(id, "alert"));
        forwarder.added(await publishStored(bus, { subject, headers: {}, payload }), payload.length);
      }
    };
    return { id, bus, forwarder, report };
  };
  const left = ids.values();
  const nodes: Linked[] = [];
  await Promise.all(Array.from({ length: AT_ONCE }, async () => {
    for (const id of left) nodes.push(await start(id));
  }));
  const dials = () => {
    return servers.reduce((sum, server) => sum + server.logText().split("Leafnode connection created").length - 1, 0);
  };
  return { nodes, troubles, dials };
}

function startServerOf(ids: readonly string[], name: string, remote: (id: string) => unknown): Promise<TestServer> {
  return startTestServer({
    server_name: name,
    jetstream: { store_dir: "$DIR/store", domain: name, max_memory_store: 2 ** 30 },
    accounts: {
      SYS: {},
      ...Object.fromEntries(ids.map((id) => [id, { jetstream: "enabled", users: [{ user: id, password: id }] }])),
    },
    system_account: "SYS",
    // Many connections at once are this machine's own doing.
    authorization: { timeout: 60 },
    leafnodes: { reconnect: redialPause(), remotes: ids.map(remote) },
  });
}
