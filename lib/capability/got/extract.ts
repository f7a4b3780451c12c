/** Extracts an archive, whatever its name says it is. */
import { XtaskError } from "../../protocol/error.ts";
import { EXTRACT_LIMITS, type ExtractLimits, Tree } from "./tree.ts";

/** What {@linkcode extract} takes. */
export interface ExtractOptions {
  /** Whether the names must suit Windows. */
  readonly windows: boolean;
  /** @default {EXTRACT_LIMITS} */
  readonly limits?: ExtractLimits;
  readonly signal: AbortSignal;
}

/**
 * Extracts a tar.gz or a zip, told apart by their first bytes, into a folder that is new and empty. What was extracted before
 * an error stays in it: throw it away. Resolves with the number of entries, once all of them are written.
 *
 * @throws {XtaskError} `invalid` if it is no such archive, is damaged, or wants what no archive may (see {@linkcode Tree}),
 * `exhausted` where it holds too much
 */
export async function extract(archive: string, into: string, options: ExtractOptions): Promise<number> {
  const { windows, limits = EXTRACT_LIMITS, signal } = options;
  using file = await Deno.open(archive);
  const { size } = await file.stat();
  const tree = new Tree(into, { archiveBytes: size, limits, windows, signal });
  const unpack = await unpackerFor(file);
  try {
    await unpack(file, tree, signal);
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof XtaskError || isOfSystem(error)) throw error;
    const message = error instanceof Error ? error.message : String(error);
    throw new XtaskError("invalid", `The archive cannot be read: ${message}`, { cause: error });
  }
  return tree.entries;
}

async function unpackerFor(
  file: Deno.FsFile,
): Promise<(file: Deno.FsFile, tree: Tree, signal: AbortSignal) => Promise<void>> {
  const magic = new Uint8Array(4);
  const read = await file.read(magic);
  await file.seek(0, Deno.SeekMode.Start);
  if (read !== null && magic[0] === 0x1f && magic[1] === 0x8b) return (await import("./tar.ts")).extractTarGz;
  // "PK" and a record that a zip can begin with: a file, or the end of one with no files.
  const isZip = magic[0] === 0x50 && magic[1] === 0x4b &&
    (magic[2] === 3 && magic[3] === 4 || magic[2] === 5 && magic[3] === 6);
  if (isZip) return (await import("./zip.ts")).extractZip;
  throw new XtaskError("invalid", "What came is no archive that can be extracted; tar.gz and zip can");
}

/** Whether the file system said it, rather than the archive. */
function isOfSystem(error: unknown): boolean {
  const ofDeno: readonly unknown[] = Object.values(Deno.errors).filter((each) => each !== Deno.errors.InvalidData);
  const code = error instanceof Error && "code" in error ? String(error.code) : "";
  return ofDeno.some((each) => typeof each === "function" && error instanceof each) || /^E[A-Z]+$/.test(code);
}
