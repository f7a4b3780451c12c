/** The executables inside a compiled xtask. They are put in by `scripts/compile.ts`, and unpacked into the cache on first use. */
import { dirname } from "node:path";
import * as v from "valibot";
import { isStored, store } from "../../scripts/asset_store.ts";
import { assetFile, type AssetName } from "../../scripts/assets.ts";
import { XtaskError } from "../protocol/error.ts";
import { parseJson } from "../protocol/parse.ts";
import { platformHere } from "../protocol/platform.ts";

/** The name of the list of what is inside; it lies beside the program. */
export const INDEX = "embedded.json";

const Entry = v.object({
  version: v.string(),
  /** Of the executable, unpacked. */
  sha256: v.string(),
  /** Size of the gzipped executable. */
  size: v.number(),
  /** Where in xtask's own file it begins; without it, it is the file `NAME.gz` beside the list. */
  at: v.optional(v.number()),
});
/** One executable. */
export type Entry = v.InferOutput<typeof Entry>;
const Index = v.record(v.string(), Entry);

/**
 * What is inside under that name.
 *
 * @throws {XtaskError} `not_found`
 */
export async function embedded(name: AssetName): Promise<Entry> {
  const text = await Deno.readTextFile(new URL(`./${INDEX}`, import.meta.url));
  const entry = parseJson(Index, text, "list of executables")[name];
  if (entry === undefined) throw new XtaskError("not_found", `This xtask has no ${name} inside`);
  return entry;
}

/** How {@linkcode unpack} works. */
export interface UnpackOptions {
  readonly cacheDir: string;
  /** Told what is done, one line at a time. */
  readonly report: (line: string) => void;
}

/**
 * The absolute path of an executable, verified, and unpacked if it is not in the cache yet.
 *
 * @throws {XtaskError} `unavailable` where the cache cannot be written; `exhausted` if the disk is full
 */
export async function unpack(name: AssetName, { cacheDir, report }: UnpackOptions): Promise<string> {
  const entry = await embedded(name);
  const path = assetFile(cacheDir, name, { ...entry, platform: platformHere() });
  try {
    if (await isStored(path, entry.sha256)) return path;
    report(`Unpacking ${name} ${entry.version} into ${dirname(path)} …`);
    const bytes = await new Response((await packed(name, entry)).pipeThrough(new DecompressionStream("gzip"))).bytes();
    await store(path, bytes, entry.sha256);
    return path;
  } catch (cause) {
    if (cause instanceof XtaskError) throw cause;
    throw new XtaskError("unavailable", `Cannot unpack ${name} into ${dirname(path)}: ${(cause as Error).message}`, {
      details: ["set XTASK_CACHE to a folder that can be written"],
      cause,
    });
  }
}

async function packed(name: string, { at, size }: Entry): Promise<ReadableStream<Uint8Array<ArrayBuffer>>> {
  if (at === undefined) return (await Deno.open(new URL(`./${name}.gz`, import.meta.url))).readable;
  const file = await Deno.open(Deno.execPath());
  await file.seek(at, Deno.SeekMode.Start);
  let left = size;
  return file.readable.pipeThrough(
    new TransformStream({
      transform(chunk, controller) {
        controller.enqueue(chunk.subarray(0, left));
        left -= Math.min(left, chunk.length);
        if (left === 0) controller.terminate();
      },
    }),
  );
}
