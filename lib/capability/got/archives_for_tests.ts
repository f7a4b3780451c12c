/** Archives as `got` meets them, good and bad. */
import { gzipSync } from "node:zlib";
import { Uint8ArrayReader, Uint8ArrayWriter, ZipWriter } from "@zip.js/zip.js";
import { packTar } from "modern-tar";

/** One entry of either format. */
export interface TestEntry {
  readonly name: string;
  /** A folder if there is none. */
  readonly content?: string | Uint8Array<ArrayBuffer>;
  /** Permission bits. */
  readonly mode?: number;
  /** Only in a tar: what it is instead of a file. */
  readonly type?: "link" | "symlink" | "character-device" | "block-device" | "fifo";
  readonly target?: string;
  /** Only in a tar: extended attributes. */
  readonly pax?: Record<string, string>;
}

/** A gzipped tar. */
export async function tarGz(entries: readonly TestEntry[]): Promise<Uint8Array<ArrayBuffer>> {
  const tar = await packTar(entries.map(({ name, content, mode, type, target, pax }) => {
    const body = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const header = {
      name,
      size: body?.length ?? 0,
      type: type ?? (body === undefined ? "directory" as const : "file" as const),
      ...(mode === undefined ? {} : { mode }),
      ...(target === undefined ? {} : { linkname: target }),
      ...(pax === undefined ? {} : { pax }),
    };
    return body === undefined ? { header } : { header, body };
  }));
  return new Uint8Array(gzipSync(tar));
}

/** A zip. `mode` may hold a file type, as in `0o120777` for a symlink. */
export async function zip(entries: readonly TestEntry[]): Promise<Uint8Array<ArrayBuffer>> {
  const writer = new ZipWriter(new Uint8ArrayWriter(), { useWebWorkers: false });
  // Written under stand-ins of the same length, since the writer would refuse or change the names that matter here.
  const names = new Map<string, string>();
  for (const [index, { name, content, mode }] of entries.entries()) {
    if (name.length < 3) throw new TypeError(`'${name}' is too short for a stand-in that occurs nowhere else`);
    const standIn = `${String(index).padStart(2, "0")}${"_".repeat(100)}`.slice(0, name.length);
    names.set(standIn, name);
    const body = typeof content === "string" ? new TextEncoder().encode(content) : content;
    const attributes = mode === undefined ? {} : { versionMadeBy: 0x0314, externalFileAttributes: mode * 2 ** 16 };
    await writer.add(standIn, body === undefined ? undefined : new Uint8ArrayReader(body), attributes);
  }
  let text = new TextDecoder("latin1").decode(await writer.close());
  for (const [standIn, name] of names) text = text.replaceAll(standIn, name);
  return latin1(text);
}

function latin1(text: string): Uint8Array<ArrayBuffer> {
  // The decoder's "latin1" is windows-1252, so its bytes are mapped back by a table made from it.
  const table = new Map(
    Array.from({ length: 256 }, (_, byte) => [new TextDecoder("latin1").decode(Uint8Array.of(byte)), byte]),
  );
  return Uint8Array.from(text, (letter) => table.get(letter) ?? 0);
}
