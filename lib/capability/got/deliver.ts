/** A download from end to end: to a checked place, whole and verified, or not at all. */
import { createHash } from "node:crypto";
import { rmdir } from "node:fs/promises";
import { join } from "node:path";
import { XtaskError } from "../../protocol/error.ts";
import type { RunContext } from "../define.ts";
import { download, type DownloadOptions } from "./download.ts";
import { extract } from "./extract.ts";
import type { GotInput, GotOutput } from "./shapes.ts";
import { confirmPlace, defaultOutput, isThere, type Place, removeMade, takePlace } from "./place.ts";
import { progressLog } from "./progress_log.ts";
import { downloadUrl, publicUrl } from "./url.ts";

/** What a caller may set beside the input. */
export type DeliverOptions = Pick<DownloadOptions, "resolve" | "backoffMs" | "idleMs">;

/** Which temporary name a step of it uses; a command runs once at a time, so the name is its own. */
type Temporary = (kind: "part" | "folder") => string;

/**
 * Does what `got.download` promises; see its definition.
 *
 * @throws {XtaskError} as the parts do; afterwards nothing of the download is left
 */
export async function deliver(input: GotInput, context: RunContext, options: DeliverOptions = {}): Promise<GotOutput> {
  const startedAt = performance.now();
  const { extract: extracting = false, mode } = input;
  if (extracting && mode !== undefined) {
    throw new XtaskError("invalid", "A mode is for one file; an archive brings its own", {
      details: ["mode: expected none with extract"],
    });
  }
  const url = downloadUrl(input.url);
  const output = input.output ?? defaultOutput(url, { extract: extracting });
  await using undo = new AsyncDisposableStack();
  const place = await takePlace(context.node.dir, output);
  undo.defer(() => removeMade(place.made));
  const temporary: Temporary = (kind) => join(place.folder, `.${place.name}.${context.command}.${kind}`);
  let got: GotOutput;
  try {
    await admitTarget(place, extracting);
    got = await cached(input, context, place) ?? await fresh(url, input, context, place, temporary, options);
  } catch (error) {
    context.signal.throwIfAborted();
    throw ofDisk(error);
  }
  // It has come: what was made for it stays.
  undo.move();
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  const what = got.cached ? "was there already" : `${got.bytes} bytes in ${seconds} s`;
  context.log(`got ${publicUrl(url)} -> ${got.path}, ${what}`);
  return got;
}

/**
 * Checks what is there already: a file may be replaced by a file, and an empty folder by an extracted archive. Everything else
 * stays, since it is not clear that it was meant.
 */
async function admitTarget({ folder, name, path }: Place, extracting: boolean): Promise<void> {
  const target = join(folder, name);
  if (!(await isThere(target))) return;
  const found = await Deno.lstat(target);
  if (!extracting) {
    if (!found.isFile) {
      throw new XtaskError("conflict", `'${path}' is there and is no regular file; choose another output`);
    }
    return;
  }
  if (!found.isDirectory) {
    throw new XtaskError("conflict", `'${path}' is there and is no folder; choose another output`);
  }
  for await (const _ of Deno.readDir(target)) {
    throw new XtaskError("conflict", `The folder '${path}' is not empty; remove it or choose another output`);
  }
}

/** The answer for a file that is there already and has the wanted sha256; its mode is set nevertheless. */
async function cached(input: GotInput, { signal }: RunContext, place: Place): Promise<GotOutput | undefined> {
  const { sha256, mode, extract: extracting = false } = input;
  if (sha256 === undefined || extracting) return undefined;
  const target = join(place.folder, place.name);
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    using file = await Deno.open(target);
    for await (const chunk of file.readable) {
      signal.throwIfAborted();
      hash.update(chunk);
      bytes += chunk.length;
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
  if (hash.digest("hex") !== sha256) return undefined;
  if (mode !== undefined) await setMode(target, mode);
  return { path: place.path, bytes, sha256, cached: true };
}

async function fresh(
  url: URL,
  input: GotInput,
  context: RunContext,
  place: Place,
  temporary: Temporary,
  options: DeliverOptions,
): Promise<GotOutput> {
  const { signal, log } = context;
  const { sha256, mode, maxBytes } = input;
  const target = join(place.folder, place.name);
  const part = temporary("part");
  await using scratch = new AsyncDisposableStack();
  // One may be left of an attempt that was killed.
  await removeIfThere(part);
  scratch.defer(() => removeIfThere(part));
  const got = await downloadTo(part, url, {
    ...options,
    maxBytes,
    signal,
    onProgress: progressLog({ log: (text) => log(text), now: () => performance.now() }),
    onRetry: (reason, inMs) => log(`${reason.message}; trying again in ${inMs} ms`),
  });
  if (sha256 !== undefined && sha256 !== got.sha256) {
    throw new XtaskError("invalid", `What came from ${publicUrl(url)} is not what was expected`, {
      details: [`sha256: expected ${sha256}`, `sha256: got ${got.sha256}`],
    });
  }
  await confirmPlace(place, part);
  const result = { path: place.path, bytes: got.bytes, sha256: got.sha256, cached: false };
  if (input.extract !== true) {
    if (mode !== undefined) await setMode(part, mode);
    signal.throwIfAborted();
    await Deno.rename(part, target);
    await syncFolder(place.folder);
    return result;
  }
  const staging = temporary("folder");
  await removeIfThere(staging);
  scratch.defer(() => removeIfThere(staging));
  await Deno.mkdir(staging);
  const entries = await extract(part, staging, { windows: context.node.platform.os === "windows", signal });
  await confirmPlace(place, staging);
  signal.throwIfAborted();
  await renameFolder(staging, target, place.path);
  await syncFolder(place.folder);
  return { ...result, entries };
}

async function downloadTo(part: string, url: URL, options: DownloadOptions): ReturnType<typeof download> {
  using file = await Deno.open(part, { write: true, createNew: true });
  const got = await download(url, file, options);
  await file.sync();
  return got;
}

/** Takes the place of an empty folder, and of nothing else. */
async function renameFolder(from: string, to: string, shown: string): Promise<void> {
  // POSIX replaces an empty folder; Windows wants it gone first.
  if (Deno.build.os === "windows") await removeEmptyFolder(to);
  try {
    await Deno.rename(from, to);
  } catch (error) {
    if (!(await isThere(to))) throw error;
    throw new XtaskError("conflict", `'${shown}' was filled by somebody else in the meantime`, { cause: error });
  }
}

async function removeEmptyFolder(path: string): Promise<void> {
  try {
    await rmdir(path);
  } catch (error) {
    if (await isThere(path)) throw error;
  }
}

async function setMode(path: string, mode: string): Promise<void> {
  if (Deno.build.os !== "windows") await Deno.chmod(path, Number.parseInt(mode, 8));
}

/** Makes a rename outlive a power cut. Windows has no such call for folders. */
async function syncFolder(folder: string): Promise<void> {
  if (Deno.build.os === "windows") return;
  using opened = await Deno.open(folder);
  await opened.sync();
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}

/** What the file system refused, in words that say what to do. */
function ofDisk(error: unknown): unknown {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  if (code === "ENOSPC" || code === "EDQUOT" || code === "EFBIG") {
    return new XtaskError("exhausted", "There is no room left on the node's disk; free some and try again", {
      cause: error,
    });
  }
  if (error instanceof Deno.errors.PermissionDenied) {
    return new XtaskError("forbidden", "The node may not write to that folder; check its permissions", {
      cause: error,
    });
  }
  return error;
}
