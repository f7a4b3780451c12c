/** Addresses of NATS servers, as people and other tools write them. */
import { XtaskError } from "../protocol/error.ts";

/** What a list of addresses says. */
export interface Addresses {
  /** `host:port` of each server; an IPv6 host in brackets. */
  readonly servers: readonly string[];
  /** Whether one of them demands TLS. Then all get it, or a reconnect could fall back to an open line. */
  readonly tls: boolean;
  /** The user name in the first address that has one. */
  readonly user?: string;
  readonly pass?: string;
}

const SERVERS_MAX = 64;

/**
 * Reads `nats://` and `tls://` addresses; without a scheme it is `nats://`, without a port 4222.
 *
 * @throws {XtaskError} `invalid`
 */
export function parseAddresses(addresses: string | readonly string[]): Addresses {
  const list = typeof addresses === "string" ? addresses.split(",") : addresses;
  if (list.length === 0 || list.length > SERVERS_MAX) {
    throw new XtaskError("invalid", `Give at least one server address and at most ${SERVERS_MAX}`);
  }
  const urls = list.map(parseAddress);
  const { username = "", password = "" } = urls.find((url) => url.username !== "") ?? {};
  return {
    servers: urls.map((url) => `${url.hostname}:${url.port || "4222"}`),
    tls: urls.some((url) => url.protocol === "tls:"),
    ...(username === "" ? {} : { user: decodeURIComponent(username), pass: decodeURIComponent(password) }),
  };
}

function parseAddress(address: string): URL {
  const text = address.trim();
  const url = URL.parse(text.includes("://") ? text : `nats://${text}`);
  if (url === null || url.hostname === "" || !["nats:", "tls:"].includes(url.protocol)) {
    // The address is not repeated: it may hold a password.
    throw new XtaskError("invalid", "The server address is not valid", {
      details: ["expected: nats://host:port, or tls://host:port to insist on TLS"],
    });
  }
  return url;
}
