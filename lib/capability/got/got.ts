/** `got`: downloads a file, or an archive and what is in it, to a place under the node's folder. */
import * as v from "valibot";
import { defineCapability, verb } from "../define.ts";

/** What a download may be at most where the caller says nothing. */
export const BYTES_MAX_DEFAULT = 2 * 1024 ** 3;
/** What nobody may raise that to. */
export const BYTES_MAX_LIMIT = 64 * 1024 ** 3;

const Input = v.strictObject({
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

const Output = v.object({
  path: v.pipe(v.string(), v.description("Where it is, relative to the node's folder")),
  bytes: v.pipe(v.number(), v.description("How many bytes were downloaded, or are there already")),
  sha256: v.pipe(v.string(), v.description("What they hash to")),
  cached: v.pipe(v.boolean(), v.description("Whether it was there already, so that nothing was downloaded")),
  entries: v.optional(v.pipe(v.number(), v.description("How many files and folders the archive named"))),
});

/** Input of `got.download`, parsed. */
export type GotInput = v.InferOutput<typeof Input>;
/** Output of `got.download`. */
export type GotOutput = v.InferOutput<typeof Output>;

/**
 * The capability.
 *
 * A download appears under its name whole and verified, or not at all: it is written beside it under a temporary name and
 * renamed. An existing file is replaced; any other existing thing is refused with `conflict`. With `extract` the output is
 * a folder that must not exist or be empty, so nothing is ever mixed or removed. Files and folders are extracted; an archive
 * with links or devices is refused as a whole.
 *
 * Link-local and metadata addresses are refused on every hop, private networks are not, except to a redirect from the
 * internet. Proxies (`HTTPS_PROXY`) are not used. Beside the roots that Deno ships those of `NODE_EXTRA_CA_CERTS` are trusted.
 */
export default defineCapability({
  name: "got",
  summary: "Download files to a node",
  // `ca` and NODE_USE_SYSTEM_CA are what node:https needs to learn which certificates to trust.
  permissions: ({ dir }) => ({ net: true, read: [dir], write: [dir], sys: ["ca"], env: ["NODE_USE_SYSTEM_CA"] }),
  verbs: {
    download: verb({
      summary: "Download a URL to a file, verified and never half",
      effect: "change",
      input: Input,
      output: Output,
      cli: { positional: ["url", "output"] },
      async run(input, context) {
        // Only a run needs the HTTP and archive libraries; whoever just lists capabilities does not wait for them.
        const { deliver } = await import("./deliver.ts");
        return await deliver(input, context);
      },
    }),
  },
});
