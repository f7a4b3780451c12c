/** What is set in nats-server: the hub's, and that of a leaf node. Address and ports stand in server.ts. */
import { PROJECTS_MAX, type ServerTrust } from "../auth/keyring.ts";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** What the streams and buckets of a project may grow to, on file and in memory, with room for more of them. */
export const PROJECT_BYTES = { file: 48 * GIB, memory: 64 * MIB };

/**
 * A machine that a thousand nodes come back to at once is slow to let them in. Whoever is sent away for that comes again, so that
 * the default of two seconds makes more of what there is too much of.
 */
const AUTHORIZATION = { timeout: 20 };

/** How a hub takes leaf nodes, beside where. */
export const FOR_LEAF_NODES = {
  // A leaf must keep to the address it was given, which may be a proxy's.
  no_advertise: true,
  authorization: AUTHORIZATION,
  // For each link that is slow, a busy hub would keep some 10 MB of buffers to compress with: 12 GB for a thousand.
  compression: "off",
  // Nodes have nothing to ask of each other. Else each link is told of, and looked through for, the subscriptions of all others.
  isolate_leafnode_interest: true,
};

/** What the hub's server and each server of a hub's cluster are told alike: an account for each project, and a store. */
export function hubServerConfig({ operatorJwt, systemAccount, accounts }: ServerTrust) {
  return {
    jetstream: {
      domain: "hub",
      // An acknowledgement then means "on disk": the machine may lose power at any moment.
      sync_interval: "always",
      // Every stream has its own bound. A server takes none beyond these, so they are those of as many projects as can be.
      max_memory_store: PROJECTS_MAX * PROJECT_BYTES.memory,
      max_file_store: PROJECTS_MAX * PROJECT_BYTES.file,
      // Nodes that were cut off together come back together, each with a batch of what it kept.
      limits: { batch: { max_inflight_per_stream: 500, max_inflight_total: 2_000 } },
    },
    max_payload: MIB,
    max_connections: 65_536,
    authorization: AUTHORIZATION,
    ping_interval: "20s",
    write_deadline: "10s",
    operator: operatorJwt,
    system_account: systemAccount,
    resolver: "MEMORY",
    resolver_preload: accounts,
  };
}

/** The hub's own server. */
export function hubConfig(home: string, trust: ServerTrust) {
  const { jetstream, ...more } = hubServerConfig(trust);
  return { server_name: "hub", jetstream: { store_dir: `${home}/store`, ...jetstream }, ...more };
}

/**
 * What belongs into the configuration of each server of a cluster that a hub is to use: a text for an `include`. It holds
 * public keys and what they may, and no secret.
 */
export function clusterConfigText(trust: ServerTrust, leafPort: number): string {
  const settings = {
    ...hubServerConfig(trust),
    leafnodes: { port: leafPort, ...FOR_LEAF_NODES },
  };
  const lines = Object.entries(settings).map(([name, value]) => `${name}: ${JSON.stringify(value, undefined, 2)}`);
  return [
    "# What an xtask hub needs of each server of its cluster. Include it in their configuration, beside what differs:",
    "#",
    '#   include "xtask.conf"',
    "#   server_name: n1",
    "#   listen: 0.0.0.0:4222",
    "#   store_dir: /var/lib/nats",
    "#   cluster { name: xtask, listen: 0.0.0.0:6222, routes: [nats://n1:6222, nats://n2:6222, nats://n3:6222] }",
    "#",
    "# Where a project was added, write it again and reload each server: nats-server --signal reload",
    ...lines,
  ].join("\n");
}

/**
 * How long a link waits for the hub's first word. By default it hangs up after a second and dials again a second later: a hub at
 * whose door many stand would hear of nothing but that.
 */
export const FIRST_INFO = "10s";

/**
 * Beside a second. More would show in how soon a node has caught up: where nobody answers, the server waits up to twice as
 * long.
 */
const REDIAL_JITTER_MS = 750;

/** How long a leaf node's server waits before it dials again: nodes that were cut off together do not dial together. */
export function redialPause(): string {
  return `${1_000 + Math.floor(Math.random() * REDIAL_JITTER_MS)}ms`;
}

/** What a leaf node's server is told. */
export interface LeafConfig {
  readonly node: string;
  /** Of the one user there is. */
  readonly password: string;
  /** Addresses of the hub's leaf port. */
  readonly remotes: readonly string[];
  /** Path of the link's creds file. */
  readonly creds: string;
  /** Path of a CA file that the hub's certificate is checked against. */
  readonly tlsCa?: string;
}

/** The name of the one user of a leaf node's server. */
export const LEAF_USER = "agent";

/** The server of a leaf node: one account, for this machine alone, linked with the project's account at the hub. */
export function leafConfig(home: string, { node, password, remotes, creds, tlsCa }: LeafConfig) {
  return {
    server_name: node,
    jetstream: {
      store_dir: `${home}/store`,
      // The streams here have the names of the hub's; the domain keeps them apart.
      domain: node,
      sync_interval: "always",
      max_memory_store: 32 * MIB,
      max_file_store: 4 * GIB,
    },
    max_payload: MIB,
    // Two unanswered pings through the link and it is dialled again, whatever TCP thinks of it.
    ping_interval: "5s",
    ping_max: 2,
    write_deadline: "5s",
    accounts: {
      SYS: {},
      LOCAL: { jetstream: "enabled", users: [{ user: LEAF_USER, password }] },
    },
    system_account: "SYS",
    leafnodes: {
      reconnect: redialPause(),
      remotes: [{
        urls: remotes,
        account: "LOCAL",
        credentials: creds,
        // Else a hub would be reached around the address that was given, which may be a proxy's.
        ignore_discovered_servers: true,
        first_info_timeout: FIRST_INFO,
        ...(tlsCa === undefined ? {} : { tls: { ca_file: tlsCa } }),
      }],
    },
  };
}
