/** A request that follows redirects by hand, since each of them may lead somewhere else than what was asked for. */
import { XtaskError } from "../../protocol/error.ts";
import { openHop, type Reply } from "./hop.ts";
import { type Resolve, type Route, routeTo } from "./route.ts";
import { downloadUrl, publicUrl } from "./url.ts";

/** What {@linkcode openUrl} takes. */
export interface OpenOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly resolve: Resolve;
  readonly idleMs: number;
  readonly signal: AbortSignal;
}

/** How many redirects are followed. */
export const REDIRECTS_MAX = 5;

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Sends a GET, follows redirects, and resolves with the head of the first answer that is none. On the way it never goes
 * from https to http, nor from the internet into a private network.
 *
 * @throws {XtaskError} `forbidden` where it may not go, `invalid` for a redirect that cannot be read or one too many, and
 * what {@linkcode openHop} throws
 */
export async function openUrl(url: URL, { headers, resolve, idleMs, signal }: OpenOptions): Promise<Reply> {
  let at = url;
  let previous: Stop | undefined;
  for (let redirects = 0; redirects <= REDIRECTS_MAX; redirects++) {
    const route = await unlessAborted(routeTo(at.hostname, resolve), signal);
    admitHop(previous, { url: at, route });
    const reply = await openHop(at, { route, headers, idleMs, signal });
    if (!REDIRECTS.has(reply.status)) return reply;
    using _closed = reply;
    const location = reply.header("location");
    if (location === undefined) throw new XtaskError("invalid", `${publicUrl(at)} redirects to nowhere`);
    previous = { url: at, wasPublic: previous?.wasPublic === true || route.public };
    at = downloadUrl(location, at);
  }
  throw new XtaskError("invalid", `${publicUrl(url)} redirects more than ${REDIRECTS_MAX} times`);
}

/** Where a chain of redirects has been. */
export interface Stop {
  readonly url: URL;
  /** Whether this or an earlier stop was on the internet. */
  readonly wasPublic: boolean;
}

/**
 * Decides whether a chain may go on. Whoever asked knows the first URL, but not where servers on the internet send it next.
 *
 * @throws {XtaskError} `forbidden` for a way out of https, or from the internet into a private network
 */
export function admitHop(
  previous: Stop | undefined,
  { url, route }: { readonly url: URL; readonly route: Pick<Route, "internal"> },
): void {
  if (previous === undefined) return;
  if (previous.url.protocol === "https:" && url.protocol === "http:") {
    throw new XtaskError("forbidden", `A redirect from https to ${publicUrl(url)} is refused`);
  }
  if (previous.wasPublic && route.internal) {
    throw new XtaskError(
      "forbidden",
      `A redirect from the internet to '${url.hostname}' in a private network is refused`,
    );
  }
}

/** A name look-up cannot be cancelled, but nobody has to wait for it. */
async function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const onAbort = () => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    if (signal.aborted) onAbort();
    return await Promise.race([work, promise]);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}
