/** From a URL's host to the addresses that may be connected to. What is checked here is what the socket then gets. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";
import { XtaskError } from "../../protocol/error.ts";
import { reachOf } from "./address.ts";

/** Turns a host name into its addresses, IPv4 and IPv6 as text. Rejects or gives none where there is none. */
export type Resolve = (hostname: string) => Promise<readonly string[]>;

/** Where a host is. */
export interface Route {
  readonly addresses: readonly { readonly address: string; readonly family: 4 | 6 }[];
  /** Whether one of them is on the internet. */
  readonly public: boolean;
  /** Whether one of them is not: loopback, private, or another special range. */
  readonly internal: boolean;
}

/** Names under which clouds offer credentials. They resolve to refused addresses nearly everywhere; here they end sooner. */
const REFUSED_HOSTS: ReadonlySet<string> = new Set([
  "metadata",
  "metadata.google.internal",
  "metadata.goog",
  "instance-data",
  "instance-data.ec2.internal",
]);

/** More addresses than this no honest name has. */
const ADDRESSES_MAX = 64;

/** Asks the operating system, which also reads its hosts file. */
export async function resolveBySystem(hostname: string): Promise<readonly string[]> {
  return (await lookup(hostname, { all: true })).map(({ address }) => address);
}

/**
 * Where a URL's host is. If a single one of its addresses is refused the host is: a name that points at both is a trap.
 *
 * @param hostname As in `URL.hostname`: canonical, IPv6 in brackets
 * @throws {XtaskError} `forbidden` for hosts that downloads may not reach, `unavailable` if the name cannot be resolved
 */
export async function routeTo(hostname: string, resolve: Resolve): Promise<Route> {
  const host = hostname.replace(/^\[(.*)\]$/, "$1").replace(/\.$/, "").toLowerCase();
  if (REFUSED_HOSTS.has(host)) throw refused(host);
  const found = isIP(host) === 0 ? await addressesOf(host, resolve) : [host];
  const reaches = found.map(reachOf);
  if (reaches.includes("refused")) throw refused(host);
  return {
    addresses: found.map((address) => ({ address, family: isIP(address) === 6 ? 6 : 4 })),
    public: reaches.includes("public"),
    internal: reaches.includes("internal"),
  };
}

async function addressesOf(host: string, resolve: Resolve): Promise<readonly string[]> {
  let found: readonly string[] = [];
  let cause: unknown;
  try {
    found = await resolve(host);
  } catch (error) {
    cause = error;
  }
  if (found.length === 0 || found.length > ADDRESSES_MAX) {
    throw new XtaskError("unavailable", `The name '${host}' cannot be resolved; check the URL and the node's DNS`, {
      cause,
    });
  }
  return found;
}

function refused(host: string): XtaskError {
  return new XtaskError(
    "forbidden",
    `Downloads from '${host}' are refused: it is a link-local, metadata or other special address`,
  );
}
