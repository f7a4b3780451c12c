/** One HTTP request to addresses that have been checked, and its answer. */
import { request as requestHttp } from "node:http";
import type { IncomingMessage, RequestOptions } from "node:http";
import { request as requestHttps } from "node:https";
import type { LookupFunction } from "node:net";
import { XtaskError } from "../../protocol/error.ts";
import type { Route } from "./route.ts";
import { publicUrl } from "./url.ts";

/** What one request takes. */
export interface HopOptions {
  readonly route: Route;
  readonly headers: Readonly<Record<string, string>>;
  /** The connection counts as lost when nothing has come for this long. */
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

/** An answer whose body is still to come. Dispose of it to close the connection. */
export interface Reply extends Disposable {
  readonly status: number;
  /** A header's value, its name in lower case. */
  header(name: string): string | undefined;
  /** Ends only when the body is whole as HTTP has it; a connection that is cut throws `unavailable`. */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Sends a GET and resolves with the head of the answer. Redirects are not followed.
 *
 * @throws {XtaskError} `unavailable` if the connection fails or is lost, `timeout` if it falls silent, `forbidden` if the server's
 * certificate is not trusted
 */
export async function openHop(url: URL, { route, headers, idleMs, signal }: HopOptions): Promise<Reply> {
  signal.throwIfAborted();
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  // The socket connects to what this gives and looks nothing up itself, so an answer that changes in between changes nothing.
  const lookup: LookupFunction = (_hostname, _options, done) => done(null, [...route.addresses]);
  const options: RequestOptions = {
    hostname: url.hostname.replace(/^\[(.*)\]$/, "$1"),
    port: url.port,
    path: url.pathname + url.search,
    headers: { host: url.host, ...headers },
    agent: false,
    lookup,
  };
  const call = request(options);
  let failure: unknown;
  const stop = (reason: unknown) => {
    failure ??= reason;
    call.destroy();
  };
  const onAbort = () => stop(signal.reason);
  let idle: ReturnType<typeof setTimeout> | undefined;
  const disarm = () => clearTimeout(idle);
  const arm = () => {
    disarm();
    idle = setTimeout(() => stop(new XtaskError("timeout", `${url.host} fell silent for ${idleMs} ms`)), idleMs);
  };
  const dispose = () => {
    disarm();
    signal.removeEventListener("abort", onAbort);
    call.destroy();
  };
  signal.addEventListener("abort", onAbort, { once: true });
  arm();
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      // Stays for as long as the request: an error after the answer has begun shows in its body as well.
      call.on("error", reject);
      call.on("close", () => reject(new Error("Closed without an answer")));
      call.on("response", resolve);
      call.end();
    });
    return {
      status: response.statusCode ?? 0,
      header: (name) => [response.headers[name]].flat()[0],
      body: bodyOf(response, { arm, disarm, explain: (error) => failure ?? explained(error, url) }),
      [Symbol.dispose]: dispose,
    };
  } catch (error) {
    dispose();
    throw failure ?? explained(error, url);
  }
}

async function* bodyOf(
  response: IncomingMessage,
  { arm, disarm, explain }: { arm(): void; disarm(): void; explain(error: unknown): unknown },
): AsyncGenerator<Uint8Array> {
  const chunks = response[Symbol.asyncIterator]();
  while (true) {
    arm();
    let next: IteratorResult<unknown>;
    try {
      next = await chunks.next();
    } catch (error) {
      throw explain(error);
    } finally {
      // While the chunk is being written the silence is ours.
      disarm();
    }
    if (next.done === true) break;
    if (next.value instanceof Uint8Array) yield next.value;
  }
  if (!response.complete) throw explain(new Error("Ended before it was whole"));
}

const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_(GET|VERIFY)|ERR_TLS/;

/** Whatever went wrong on the wire as an error whose code says whether another try makes sense. */
function explained(error: unknown, url: URL): unknown {
  // A lack of permissions or a wrong type is no matter of the network.
  if (!(error instanceof Error) || error instanceof TypeError || error instanceof Deno.errors.NotCapable) return error;
  const code = "code" in error ? String(error.code) : "";
  if (CERTIFICATE.test(code) || /certificate/i.test(error.message)) {
    return new XtaskError("forbidden", `The certificate of ${url.host} is not trusted: ${error.message}`, {
      details: [
        "a certificate authority of your own is trusted if NODE_EXTRA_CA_CERTS names its file when xtask starts",
      ],
      cause: error,
    });
  }
  return new XtaskError("unavailable", `The connection for ${publicUrl(url)} failed: ${code || error.message}`, {
    cause: error,
  });
}
