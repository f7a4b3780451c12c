/**
 * Executables kept in the user's cache, each verified by sha256 when it is put there.
 *
 * What is trusted: hashing 50 MB takes a tenth of a second, too much for each start, so a stamp beside the file tells which hash was
 * seen for which size and time of change; as long as these are what they were, the file is taken to be the one that was
 * hashed. That finds accidents (a cut, damaged or replaced file). It does not stop somebody who may write in the user's
 * own cache folder, who could as well replace xtask; the folder is made for that user alone.
 */
import { dirname, join } from "node:path";
import { XtaskError } from "../lib/protocol/error.ts";

/** The sha256 of bytes, in hex. */
export async function sha256Hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

/** Whether the file is there with that hash. Reads it only if it is not as the stamp says. */
export async function isStored(path: string, sha256: string): Promise<boolean> {
  const seen = await stampOf(path, sha256);
  if (seen === undefined) return false;
  if (seen === await unlessMissing(Deno.readTextFile(stampPath(path)))) return true;
  const bytes = await unlessMissing(Deno.readFile(path));
  if (bytes === undefined || await sha256Hex(bytes) !== sha256) return false;
  // A stamp only saves time, and a cache that may not be written (an image's, another user's) is as good to read.
  await replace(stampPath(path), new TextEncoder().encode(seen), 0o600).catch(() => {});
  return true;
}

/**
 * Puts an executable there, whole or not at all. Two processes may do so at once: both bring the same bytes.
 *
 * @throws {XtaskError} `invalid` if the bytes are not the ones that hash to `sha256`; `exhausted` if the disk is full
 */
export async function store(path: string, bytes: Uint8Array<ArrayBuffer>, sha256: string): Promise<void> {
  const got = await sha256Hex(bytes);
  if (got !== sha256) {
    throw new XtaskError("invalid", `It is not the pinned file: its sha256 is ${got}, expected ${sha256}`);
  }
  await Deno.mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await sweep(dirname(path));
  await replace(path, bytes, 0o755);
  const stamp = await stampOf(path, sha256);
  if (stamp !== undefined) await replace(stampPath(path), new TextEncoder().encode(stamp), 0o600);
}

const stampPath = (path: string) => `${path}.sha256`;

async function stampOf(path: string, sha256: string): Promise<string | undefined> {
  const file = await unlessMissing(Deno.stat(path));
  return file?.isFile ? `${sha256} ${file.size} ${file.mtime?.getTime()}\n` : undefined;
}

async function replace(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const temporary = `${path}.${crypto.randomUUID()}.tmp`;
  try {
    await Deno.writeFile(temporary, bytes, { createNew: true, mode });
    // The mode given at creation is narrowed by the umask. Windows has no such bits.
    if (Deno.build.os !== "windows") await Deno.chmod(temporary, mode);
    await Deno.rename(temporary, path);
  } catch (cause) {
    await unlessMissing(Deno.remove(temporary));
    if ((cause as { code?: unknown }).code === "ENOSPC") {
      throw new XtaskError("exhausted", `The disk is full: ${bytes.length} bytes are needed in ${dirname(path)}`, {
        details: ["free some space, or set XTASK_CACHE to a folder that has it"],
        cause,
      });
    }
    // On Windows nothing can take the place of a program that runs. It runs, so another process has put it there whole.
    const size = (await unlessMissing(Deno.stat(path)))?.size;
    if (!(cause instanceof Deno.errors.PermissionDenied) || size !== bytes.length) throw cause;
  }
}

/** Older than any write takes. */
const ABANDONED_MS = 3_600_000;

/** Removes what processes left half-written that were killed. */
async function sweep(folder: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".tmp")) continue;
    const file = join(folder, name);
    const written = (await unlessMissing(Deno.stat(file)))?.mtime?.getTime() ?? Date.now();
    if (Date.now() - written > ABANDONED_MS) await unlessMissing(Deno.remove(file));
  }
}

async function unlessMissing<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
