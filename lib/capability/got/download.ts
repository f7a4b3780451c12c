/** From a URL into an open file: resumed where the connection was lost, tried again where that makes sense, hashed on the way. */
import { createHash, type Hash } from "node:crypto";
import { XtaskError } from "../../protocol/error.ts";
import { pause } from "../../os/pause.ts";
import { openUrl } from "./follow.ts";
import type { Reply } from "./hop.ts";
import { FRUITLESS_MAX, pauseMs, RETRY_AFTER_MAX_MS, retryAfterMs, TRIES_MAX } from "./retry.ts";
import { type Resolve, resolveBySystem } from "./route.ts";
import { publicUrl } from "./url.ts";

/** What {@linkcode download} takes. */
export interface DownloadOptions {
  /** More bytes than this are refused with `exhausted`. */
  readonly maxBytes: number;
  /** Hears of progress: bytes so far and, where the server says, of how many. May be called at every chunk. */
  readonly onProgress?: (bytes: number, total: number | undefined) => void;
  /** Hears why there will be another try. */
  readonly onRetry?: (reason: XtaskError, inMs: number) => void;
  /** @default {resolveBySystem} */
  readonly resolve?: Resolve | undefined;
  /** The longest first pause between tries; it doubles. @default {500} */
  readonly backoffMs?: number | undefined;
  /** A connection that is silent for this long counts as lost. @default {30000} */
  readonly idleMs?: number | undefined;
  readonly signal: AbortSignal;
}

/** What has been downloaded. */
export interface Downloaded {
  readonly bytes: number;
  /** In lower-case hex. */
  readonly sha256: string;
}

/** What has arrived so far. */
interface Progress {
  bytes: number;
  total: number | undefined;
  hash: Hash;
  /** What makes sure that the rest is of the same file: a strong ETag, or else Last-Modified. */
  validator: string | undefined;
}

/** A try that came to nothing, though another may not. */
class TryAgain extends Error {
  readonly reason: XtaskError;
  /** How long the server asks to wait. */
  readonly afterMs: number | undefined;

  constructor(reason: XtaskError, afterMs?: number) {
    super(reason.message);
    this.reason = reason;
    this.afterMs = afterMs;
  }
}

const HEADERS = { "accept": "*/*", "accept-encoding": "identity", "user-agent": "xtask" };

/**
 * Downloads into a file, from its start. Resolves when all bytes are written (not yet synced) and their number is what the
 * server announced. A server that announces no length can only be told from a lost connection by its chunked encoding; of
 * one that has neither, give a sha256.
 *
 * @throws {XtaskError} `not_found` (404, 410), `forbidden` (401, 403, an address, a certificate), `exhausted` for too many
 * bytes, `unavailable` or `timeout` when the tries are used up, `invalid` for what the server will never answer
 */
export async function download(url: URL, file: Deno.FsFile, options: DownloadOptions): Promise<Downloaded> {
  const { signal, onRetry, backoffMs = 500 } = options;
  const progress: Progress = { bytes: 0, total: undefined, hash: createHash("sha256"), validator: undefined };
  let furthest = 0;
  let fruitless = 0;
  for (let tries = 1;; tries++) {
    try {
      await tryOnce(url, file, progress, options);
      return { bytes: progress.bytes, sha256: progress.hash.digest("hex") };
    } catch (error) {
      signal.throwIfAborted();
      const again = worthAnotherTry(error);
      fruitless = progress.bytes > furthest ? 0 : fruitless + 1;
      furthest = Math.max(furthest, progress.bytes);
      if (again === undefined) throw error;
      if (fruitless >= FRUITLESS_MAX || tries >= TRIES_MAX) throw again.reason;
      const waitMs = Math.max(again.afterMs ?? 0, pauseMs(fruitless, backoffMs, Math.random()));
      if (waitMs > RETRY_AFTER_MAX_MS) throw again.reason;
      onRetry?.(again.reason, waitMs);
      await pause(waitMs, signal);
      signal.throwIfAborted();
    }
  }
}

function worthAnotherTry(error: unknown): TryAgain | undefined {
  if (error instanceof TryAgain) return error;
  if (error instanceof XtaskError && (error.code === "unavailable" || error.code === "timeout")) {
    return new TryAgain(error);
  }
  return undefined;
}

async function tryOnce(url: URL, file: Deno.FsFile, progress: Progress, options: DownloadOptions): Promise<void> {
  const { maxBytes, onProgress, resolve = resolveBySystem, idleMs = 30_000, signal } = options;
  if (progress.validator === undefined) await restart(file, progress);
  const headers: Record<string, string> = { ...HEADERS };
  if (progress.bytes > 0 && progress.validator !== undefined) {
    headers["range"] = `bytes=${progress.bytes}-`;
    headers["if-range"] = progress.validator;
  }
  using reply = await openUrl(url, { headers, resolve, idleMs, signal });
  await takeHead(reply, url, file, progress);
  if ((progress.total ?? 0) > maxBytes) throw tooLarge(url, maxBytes);
  for await (const chunk of reply.body) {
    if (progress.bytes + chunk.length > maxBytes) throw tooLarge(url, maxBytes);
    await writeAll(file, chunk);
    progress.hash.update(chunk);
    progress.bytes += chunk.length;
    onProgress?.(progress.bytes, progress.total);
  }
  if (progress.total !== undefined && progress.bytes !== progress.total) {
    const { bytes, total } = progress;
    await restart(file, progress);
    throw new XtaskError("unavailable", `${publicUrl(url)} gave ${bytes} bytes of ${total}`);
  }
}

/** Takes what the head says about the body that follows, or throws for a body that is not the file. */
async function takeHead(reply: Reply, url: URL, file: Deno.FsFile, progress: Progress): Promise<void> {
  if (reply.status === 200) {
    await restart(file, progress);
    const etag = reply.header("etag");
    progress.validator = etag?.startsWith('"') ? etag : reply.header("last-modified");
    progress.total = lengthOf(reply);
    return;
  }
  if (reply.status === 206 && progress.bytes > 0) {
    const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(reply.header("content-range") ?? "");
    const total = range?.[2] === "*" ? progress.total : Number(range?.[2]);
    if (Number(range?.[1]) === progress.bytes && total === progress.total) return;
  }
  if (reply.status === 206 || reply.status === 416) {
    await restart(file, progress);
    throw new XtaskError("unavailable", `${publicUrl(url)} gave another part than the one asked for`);
  }
  throw refusal(reply, url);
}

function lengthOf(reply: Reply): number | undefined {
  const length = reply.header("content-length");
  return length !== undefined && /^\d{1,15}$/.test(length) ? Number(length) : undefined;
}

function refusal(reply: Reply, url: URL): Error {
  const { status } = reply;
  const from = publicUrl(url);
  if (status === 429 || status >= 500) {
    const afterMs = retryAfterMs(reply.header("retry-after"), Date.now());
    const wait = afterMs === undefined ? "" : `, and asks for a pause of ${Math.ceil(afterMs / 1000)} s`;
    return new TryAgain(new XtaskError("unavailable", `${from} answered ${status}${wait}`), afterMs);
  }
  if (status === 404 || status === 410) {
    return new XtaskError("not_found", `There is nothing at ${from}: it answered ${status}`);
  }
  if (status === 401 || status === 403) {
    return new XtaskError("forbidden", `${from} does not let this node in: it answered ${status}`);
  }
  return new XtaskError("invalid", `${from} answered ${status}, which is no download`);
}

async function restart(file: Deno.FsFile, progress: Progress): Promise<void> {
  if (progress.bytes > 0) {
    await file.truncate(0);
    await file.seek(0, Deno.SeekMode.Start);
  }
  progress.bytes = 0;
  progress.total = undefined;
  progress.validator = undefined;
  progress.hash = createHash("sha256");
}

async function writeAll(file: Deno.FsFile, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
}

function tooLarge(url: URL, maxBytes: number): XtaskError {
  return new XtaskError("exhausted", `${publicUrl(url)} is larger than ${maxBytes} bytes; raise maxBytes to take it`);
}
