/** What is set in nats-server: the hub's, and that of a leaf node. Address and ports stand in server.ts. */
import type { ServerTrust } from "../auth/keyring.ts";

const MIB = 1024 ** 2;
const GIB = 1024 ** 3;

/** The hub's server: an account for each project, and a store that may grow. */
export function hubConfig(home: string, { operatorJwt, systemAccount, accounts }: ServerTrust) {
  return {
    server_name: "hub",
    jetstream: {
      store_dir: `${home}/store`,
      domain: "hub",
      // An acknowledgement then means "on disk": the machine may lose power at any moment.
      sync_interval: "always",
      max_memory_store: 256 * MIB,
      max_file_store: 100 * GIB,
      // Nodes that were cut off together come back together, each with a batch of what it kept.
      limits: { batch: { max_inflight_per_stream: 500, max_inflight_total: 2_000 } },
    },
    max_payload: MIB,
    max_connections: 65_536,
    ping_interval: "20s",
    write_deadline: "10s",
    operator: operatorJwt,
    system_account: systemAccount,
    resolver: "MEMORY",
    resolver_preload: accounts,
  };
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
      reconnect: "1s",
      remotes: [{
        urls: remotes,
        account: "LOCAL",
        credentials: creds,
        // Else a hub would be reached around the address that was given, which may be a proxy's.
        ignore_discovered_servers: true,
        ...(tlsCa === undefined ? {} : { tls: { ca_file: tlsCa } }),
      }],
    },
  };
}
