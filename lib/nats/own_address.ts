/** Where a hub's own server is reached: from this machine, from others, and by the hub's own parts. */
import { type Certificate, isLoopback, nameFor } from "../auth/certificate.ts";
import type { TlsOptions } from "./link.ts";
import type { Server } from "./server.ts";

/** For programs of this machine, by a name that the certificate covers. */
export function addressHere({ url, port }: Pick<Server, "url" | "port">, certificate: Certificate | undefined): string {
  const host = new URL(url).hostname.replaceAll(/[[\]]/g, "");
  return addressOf(isLoopback(host) ? [host, "localhost"] : [host], port, certificate);
}

/**
 * For other machines, likewise.
 *
 * @param host What the server listens on
 */
export function addressElsewhere(host: string, port: number, certificate: Certificate | undefined): string {
  const reached = host !== "0.0.0.0" && host !== "::" ? host : Deno.networkInterfaces()
    .find(({ family, address }) => family === "IPv4" && !address.startsWith("127."))?.address ?? "127.0.0.1";
  return addressOf([reached], port, certificate);
}

/** How the hub's own parts connect: to this machine's own address, whatever name the certificate was made out to. */
export function ownTls(certificate: Certificate | undefined): { tls?: TlsOptions } {
  if (certificate === undefined) return {};
  const { ca, names: [name = ""] } = certificate;
  return { tls: { name, ...(ca === undefined ? {} : { ca }) } };
}

function addressOf(hosts: readonly string[], port: number, certificate: Certificate | undefined): string {
  const host = certificate === undefined ? hosts[0] as string : nameFor(certificate, hosts);
  return `${certificate === undefined ? "nats" : "tls"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
}
