/** Serves HTTP until it is disposed. */
import type { Hono } from "hono";
import { XtaskError } from "../protocol/error.ts";

/** A running HTTP server. Disposing it lets requests under way finish. */
export interface HttpServer extends AsyncDisposable {
  readonly url: string;
}

/**
 * Starts serving.
 *
 * @throws {XtaskError} `conflict` for a port that is taken
 */
export function serveHttp(app: Hono, { host, port }: { host: string; port: number }): HttpServer {
  let server: Deno.HttpServer<Deno.NetAddr>;
  try {
    server = Deno.serve({ hostname: host, port, onListen: () => {} }, app.fetch);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AddrInUse)) throw cause;
    throw new XtaskError("conflict", `Port ${port} is taken by another program`, {
      details: [`choose another with --http-port, or find its owner: xtask kill-port ${port}`],
      cause,
    });
  }
  const shown = host === "0.0.0.0" || host === "::" ? "127.0.0.1" : host;
  return {
    url: `http://${shown.includes(":") ? `[${shown}]` : shown}:${server.addr.port}`,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
    },
  };
}
