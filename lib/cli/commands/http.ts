/** Where the page and the API are served: what `xtask up` and `xtask ui` are told of it. */
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
}

const LOOPBACK = "127.0.0.1";

/**
 * Reads the flags. Without TLS a session could be read on the way, so that the network is served only where somebody says so.
 *
 * @param host What else is served on; taken with TLS.
 */
export async function httpOptions(shell: Shell, flags: HttpFlags, host = LOOPBACK): Promise<HttpOptions> {
  const { httpPort: port, httpHost, httpName: names = [], tlsCert, tlsKey } = flags;
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    throw new XtaskError("invalid", "A certificate needs its key, and a key its certificate", {
      details: ["give both: --tls-cert FILE --tls-key FILE"],
    });
  }
  const tls = tlsCert === undefined || tlsKey === undefined
    ? {}
    : { tls: { cert: await readPem(tlsCert), key: await readPem(tlsKey) } };
  const served = httpHost ?? (tlsCert === undefined ? LOOPBACK : host);
  if (tlsCert === undefined && !/^(127\.|localhost$|::1$)/.test(served)) {
    shell.note(`The page is served on ${served} without TLS: whoever can listen on the network can read what is sent`);
    shell.note("  give --tls-cert and --tls-key, or leave TLS to a proxy in front of it");
  }
  return {
    datastar: await pageScriptText(shell),
    host: served,
    port,
    names: names.map((name) => name.toLowerCase()),
    ...tls,
  };
}

async function readPem(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    throw new XtaskError("invalid", `${path} cannot be read`, { details: [(cause as Error).message], cause });
  }
}
