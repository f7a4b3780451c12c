/** What `got.download` takes and answers. */
import * as v from "valibot";

/** What a download may be at most where the caller says nothing. */
export const BYTES_MAX_DEFAULT = 2 * 1024 ** 3;
/** What nobody may raise that to. */
export const BYTES_MAX_LIMIT = 64 * 1024 ** 3;

/** Input of `got.download`. */
export const GotInput = v.strictObject({
  url: v.pipe(
    v.string(),
    v.minLength(1),
    v.maxLength(8192),
    v.description("Where to download from: http or https, without user name and password"),
  ),
  output: v.optional(v.pipe(
    v.string(),
    v.minLength(1),
    v.maxLength(1024),
    v.description("Where it goes, relative to the node's folder; by default the last part of the URL"),
  )),
  sha256: v.optional(v.pipe(
    v.string(),
    v.regex(/^[0-9a-fA-F]{64}$/, "expected 64 hex digits"),
    v.toLowerCase(),
    v.description("What it must hash to; if the output does already, nothing is downloaded"),
  )),
  mode: v.optional(v.pipe(
    v.string(),
    v.regex(/^0?[0-7]{3}$/, "expected three octal digits, such as 755"),
    v.description("Permissions of the file in octal, such as 755; ignored on Windows"),
  )),
  extract: v.optional(v.pipe(
    v.boolean(),
    v.description("Extract it (tar.gz or zip); the output is then a folder, new or empty"),
  )),
  maxBytes: v.optional(
    v.pipe(
      v.number(),
      v.integer(),
      v.minValue(1),
      v.maxValue(BYTES_MAX_LIMIT),
      v.description("The most bytes to download; 2 GiB by default"),
    ),
    BYTES_MAX_DEFAULT,
  ),
});

/** Output of `got.download`. */
export const GotOutput = v.object({
  path: v.pipe(v.string(), v.description("Where it is, relative to the node's folder")),
  bytes: v.pipe(v.number(), v.description("How many bytes were downloaded, or are there already")),
  sha256: v.pipe(v.string(), v.description("What they hash to")),
  cached: v.pipe(v.boolean(), v.description("Whether it was there already, so that nothing was downloaded")),
  entries: v.optional(v.pipe(v.number(), v.description("How many files and folders the archive named"))),
});

/** Input of `got.download`, parsed. */
export type GotInput = v.InferOutput<typeof GotInput>;
/** Output of `got.download`. */
export type GotOutput = v.InferOutput<typeof GotOutput>;
