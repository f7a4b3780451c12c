/** The page and the API, served: sessions, application and server together. */
import { type AppOptions, createApp } from "./app.ts";
import { loginLink } from "./login.ts";
import { type HttpServer, serveHttp, type ServeOptions } from "./serve.ts";
import { openSessions } from "./session.ts";

/** Options of {@linkcode startHttp}. */
export interface StartOptions extends Omit<AppOptions, "sessions" | "names">, Omit<ServeOptions, "name"> {
  /** The bearer token. */
  readonly token: string;
  /** Where sessions are kept. Without it they end with the process. */
  readonly sessionsPath?: string;
  /** Names that this server is called by, beside addresses and `localhost`. The first one is shown. */
  readonly names?: readonly string[];
}

/** A running server of page and API. */
export interface Http extends HttpServer {
  /** A new login link: good once, for a short time. */
  loginLink(): string;
}

/** Starts serving. */
export async function startHttp(options: StartOptions): Promise<Http> {
  const { host, port, tls, names = [], token, sessionsPath: path } = options;
  await using stack = new AsyncDisposableStack();
  const sessions = await openSessions({ token, ...(path === undefined ? {} : { path }) });
  const [name] = names;
  const server = stack.use(serveHttp(await createApp({ ...options, sessions }), {
    host,
    port,
    ...(tls === undefined ? {} : { tls }),
    ...(name === undefined ? {} : { name }),
  }));
  // Before the server, so that the streams it serves have ended when it waits for its requests.
  stack.use(sessions);
  const owned = stack.move();
  return {
    url: server.url,
    loginLink: () => loginLink(server.url, sessions.invite().secret),
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}
