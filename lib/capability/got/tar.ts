/** Extracts a gzipped tar. */
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { createTarDecoder } from "modern-tar";
import { refused, type Tree } from "./tree.ts";

/** So that what one read expands to (at most about a thousandfold) fits into memory anywhere. */
const READ_BYTES = 16 * 1024;

/**
 * Extracts a tar.gz from the start of an open file. Folders and regular files only: symlinks, hard links, devices,
 * pipes and sparse files are refused, as no path may mean something else than it says.
 */
export async function extractTarGz(file: Deno.FsFile, tree: Tree, signal: AbortSignal): Promise<void> {
  // zlib's own stream rather than DecompressionStream, which fails at gzip files of several members.
  const gunzip = createGunzip();
  const source = Readable.from(chunksOf(file));
  source.on("error", (error) => gunzip.destroy(error));
  // Whoever reads it gets the error; one that comes when reading is over must not end the process.
  gunzip.on("error", () => source.destroy());
  const onAbort = () => void gunzip.destroy(signal.reason instanceof Error ? signal.reason : new Error("Cancelled"));
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const entries = ReadableStream.from<Uint8Array>(source.pipe(gunzip)).pipeThrough(
      createTarDecoder({ strict: true }),
    );
    for await (const { header, body } of entries) {
      const { name, type, pax } = header;
      if (pax !== undefined && Object.keys(pax).some((key) => key.startsWith("GNU.sparse."))) {
        throw refused(name, "is a sparse file");
      }
      // Before there was a type for folders a slash at the end said it.
      if (type === "directory" || type === "file" && name.endsWith("/")) {
        await tree.folder(name);
        await body.cancel();
      } else if (type === "file") {
        await tree.file(name, body, ((header.mode ?? 0) & 0o111) !== 0);
      } else {
        throw refused(name, `is a ${type}; only files and folders are extracted`);
      }
    }
  } finally {
    signal.removeEventListener("abort", onAbort);
    source.destroy();
    gunzip.destroy();
  }
}

async function* chunksOf(file: Deno.FsFile): AsyncGenerator<Uint8Array> {
  while (true) {
    const chunk = new Uint8Array(READ_BYTES);
    const read = await file.read(chunk);
    if (read === null) return;
    yield chunk.subarray(0, read);
  }
}
