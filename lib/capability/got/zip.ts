/** Extracts a zip. */
import { Reader, ZipReader } from "@zip.js/zip.js";
import type { FileEntry } from "@zip.js/zip.js";
import { XtaskError } from "../../protocol/error.ts";
import { refused, type Tree } from "./tree.ts";

/** More than this is never read at once. The only large thing that is, is the list of entries: 10,000 with the longest names fit. */
const READ_BYTES_MAX = 32 * 1024 ** 2;
const FILE_TYPE = 0o170000;
const FILE_TYPES_TAKEN: ReadonlySet<number> = new Set([0, 0o100000, 0o040000]);

/**
 * Extracts a zip from an open file. Folders and regular files only, as from a tar; encrypted and overlapping entries are
 * refused, and each file's checksum must hold.
 */
export async function extractZip(file: Deno.FsFile, tree: Tree, signal: AbortSignal): Promise<void> {
  const zip = new ZipReader(new FileReader(file), {
    // Names are judged by the tree, which says what is wrong with them.
    filenameValidation: "tolerant",
    checkOverlappingEntry: true,
    checkCrc32: true,
    useWebWorkers: false,
    signal,
  });
  try {
    for await (const entry of zip.getEntriesGenerator()) {
      const { filename } = entry;
      if (entry.encrypted) throw refused(filename, "is encrypted");
      if (entry.symlink || !FILE_TYPES_TAKEN.has((entry.unixMode ?? 0) & FILE_TYPE)) {
        throw refused(filename, "is a link or a device; only files and folders are extracted");
      }
      if (entry.directory) await tree.folder(filename);
      else await extractFile(entry, tree);
    }
  } finally {
    await zip.close();
  }
}

async function extractFile(entry: FileEntry, tree: Tree): Promise<void> {
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>();
  // Each side that fails ends the other, which would otherwise wait for it for ever. The tree comes first: what it refused is
  // the reason, and the other side then only reports a closed stream.
  const outcomes = await Promise.allSettled([
    tree.file(entry.filename, readable, entry.executable).catch(async (error) => {
      await readable.cancel(error);
      throw error;
    }),
    entry.getData(writable).catch(async (error) => {
      if (!writable.locked) await writable.abort(error);
      throw error;
    }),
  ]);
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
}

class FileReader extends Reader<Deno.FsFile> {
  readonly #file: Deno.FsFile;

  constructor(file: Deno.FsFile) {
    super(file);
    this.#file = file;
  }

  override async init(): Promise<void> {
    this.size = (await this.#file.stat()).size;
  }

  // deno-lint-ignore require-await -- the library wants a promise; seek and read must not be parted by another read
  override async readUint8Array(index: number, length: number): Promise<Uint8Array> {
    const wanted = Math.min(length, Math.max(0, this.size - index));
    if (wanted > READ_BYTES_MAX) throw new XtaskError("exhausted", "The list of entries of the archive is too long");
    const bytes = new Uint8Array(wanted);
    this.#file.seekSync(index, Deno.SeekMode.Start);
    let at = 0;
    while (at < wanted) {
      const read = this.#file.readSync(bytes.subarray(at));
      if (read === null) break;
      at += read;
    }
    return bytes.subarray(0, at);
  }
}
