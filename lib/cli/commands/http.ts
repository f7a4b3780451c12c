/** Where the page and the API are served: what `xtask up` and `xtask ui` are told of it. */
import { type Certificate, isLoopback, nameFor, readCertificate } from "../../auth/certificate.ts";
import { XtaskError } from "../../protocol/error.ts";
import type { HttpOptions } from "../../system.ts";
import { pageScriptText } from "../assets.ts";
import type { Shell } from "../shell.ts";

/** Flags about HTTP. */
export interface HttpFlags {
  readonly httpPort: number;
  readonly httpHost?: string;
  readonly httpName?: readonly string[];
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsCa?: string;
}

const LOOPBACK = "127.0.0.1";

/**
 * The certificate that the flags name; undefined for none.
 *
 * @throws {XtaskError} `invalid` for one that does not do
 */
export async function certificateOf(flags: HttpFlags): Promise<Certificate | undefined> {
  const { httpName = [], tlsCert, tlsKey, tlsCa } = flags;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new XtaskError("invalid", "A certificate needs its key, and a key its certificate", {
      details: ["give both: --tls-cert FILE --tls-key FILE"],
    });
  }
  if (tlsCert === undefined || tlsKey === undefined) {
    if (tlsCa === undefined) return undefined;
    throw new XtaskError("invalid", "An authority is of no use without the certificate that it signed", {
      details: ["give all three: --tls-cert FILE --tls-key FILE --tls-ca FILE"],
    });
  }
  const texts = { cert: await readPem(tlsCert), key: await readPem(tlsKey) };
  return readCertificate(tlsCa === undefined ? texts : { ...texts, ca: await readPem(tlsCa) }, httpName);
}

/** What is served, and where: the page's own host, and what else is served on. */
export interface Served {
  readonly certificate: Certificate | undefined;
  /** Taken with TLS, where the flags name none. */
  readonly host?: string;
}

/** Reads the flags. Without TLS a session could be read on the way, so that the network is served only where somebody says so. */
export async function httpOptions(
  shell: Shell,
  flags: HttpFlags,
  { certificate, host = LOOPBACK }: Served,
): Promise<HttpOptions> {
  const { httpPort: port, httpHost, httpName = [] } = flags;
  const served = httpHost ?? (certificate === undefined ? LOOPBACK : host);
  if (certificate === undefined && !isLoopback(served)) {
    shell.note(`The page is served on ${served} without TLS: whoever can listen on the network can read what is sent`);
    shell.note("  give --tls-cert and --tls-key, or leave TLS to a proxy in front of it");
  }
  // Who reaches it by a name of its certificate has reached the right one. The first is shown.
  const names = certificate === undefined
    ? httpName
    : [nameFor(certificate, [...httpName, served]), ...certificate.names];
  return {
    datastar: await pageScriptText(shell),
    host: served,
    port,
    names: [...new Set([...names, ...httpName].map((name) => name.toLowerCase()))],
    ...(certificate === undefined ? {} : { tls: certificate }),
  };
}

/** @throws {XtaskError} `invalid` with the reason */
export async function readPem(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new XtaskError("invalid", `${path} cannot be read`, { details: [(cause as Error).message], cause });
  }
}

/** The token of the last start, as a context has it: programs that have it go on. */
export async function knownToken({ contexts }: Shell, context: string): Promise<{ token?: string }> {
  const known = (await contexts.list()).find(({ name }) => name === context);
  return known?.token === undefined ? {} : { token: known.token };
}
