/** Serves HTTP until it is disposed. */
import type { Hono } from "hono";
import { XtaskError } from "../protocol/error.ts";
import type { HttpEnv } from "./context.ts";

/** Where HTTP is served. */
export interface ServeOptions {
  readonly host: string;
  readonly port: number;
  /** PEM texts. With them browsers speak HTTP/2, which has no limit of six streams. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** The name to show in place of the host, such as the certificate's. */
  readonly name?: string;
}

/** A running HTTP server. Disposing it ends event streams and lets requests under way finish. */
export interface HttpServer extends AsyncDisposable {
  readonly url: string;
}

/** Requests get this long to finish. A stream of a client that reads nothing would hold up the end for ever. */
const SHUTDOWN_MS = 2_000;

/**
 * Starts serving.
 *
 * @throws {XtaskError} `conflict` for a port that is taken, `invalid` for a certificate that does not do
 */
export function serveHttp(app: Hono<HttpEnv>, { host, port, tls, name }: ServeOptions): HttpServer {
  const stop = new AbortController();
  const options = { hostname: host, port, signal: stop.signal, onListen: () => {}, ...tls };
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve(options, app.fetch);
  } catch (cause) {
    if (cause instanceof Deno.errors.AddrInUse) {
      throw new XtaskError("conflict", `Port ${port} is taken by another program`, {
        details: [`choose another with --http-port, or find its owner: xtask kill-port ${port}`],
        cause,
      });
    }
    if (tls === undefined) throw cause;
    throw new XtaskError("invalid", `HTTPS cannot be served: ${(cause as Error).message}`, {
      details: ["--tls-cert and --tls-key take PEM files of a certificate and its key"],
      cause,
    });
  }
  const shown = name ?? (host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host);
  const scheme = tls === undefined ? "http" : "https";
  return {
    url: `${scheme}://${shown.includes(":") ? `[${shown}]` : shown}:${server.addr.port}`,
    async [Symbol.asyncDispose]() {
      const late = setTimeout(() => stop.abort(), SHUTDOWN_MS);
      await server.shutdown();
      clearTimeout(late);
    },
  };
}
