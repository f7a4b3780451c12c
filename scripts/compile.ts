/**
 * Makes the one file that people get: `dist/xtask-TRIPLE`, with the program and the executables it brings along inside.
 *
 * ```sh
 * deno run -A scripts/compile.ts [--target TRIPLE|all]
 * ```
 *
 * The run-time reads all that `deno compile` embeds into memory at every start. So in an ELF file the executables stand
 * between the run-time and what is embedded, where nobody reads them before they are wanted; the run-time finds its part
 * from the file's end. On the other systems what is embedded is mapped into memory, and they are embedded as files.
 */
import { basename, join } from "node:path";
import process from "node:process";
import { gzip } from "node:zlib";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import { type Entry, INDEX } from "../lib/cli/embedded.ts";
import { XtaskError } from "../lib/protocol/error.ts";
import { type Platform, platformHere } from "../lib/protocol/platform.ts";
import { VERSION } from "../lib/protocol/version.ts";
import { PAGE_SCRIPT_FILE } from "../lib/cli/assets.ts";
import { type AssetName, ASSETS, pageScript, pinned } from "./assets.ts";
import { bundle, run } from "./bundle.ts";
import { compiler, DENO_VERSION, denort } from "./denort.ts";
import { HEAD_BYTES, platformOf } from "./executable.ts";
import { layOut } from "./publish.ts";
import { runScript } from "./run_script.ts";
import { platformKey, type Target, targetsFor } from "./targets.ts";
import { V8_FLAGS } from "./v8_flags.ts";

/** What the program may do, and why. Capabilities get less, each by its own definition; nothing can be added at run time. */
const PERMISSIONS: Readonly<Record<string, string>> = {
  "--allow-read": "a node offers a folder that is known at run time only",
  "--allow-write": "journals, credentials and the cache lie where the user's environment says",
  "--allow-run": "tasks are programs",
  "--allow-net": "hubs have any address",
  "--allow-env": "programs of tasks inherit the environment",
  "--allow-sys": "a node reports its host name, load, memory and addresses",
  "--deny-ffi": "nothing here loads a native library",
  "--deny-import": "no code comes from elsewhere at run time",
  "--no-prompt": "nobody is there to answer",
};

/** Beyond the parts that are known, an executable has headers, a table of files, padding and a signature. */
const REST_MAX = 2 * 1024 * 1024;
/** Where executables are put. */
export const DIST = fileURLToPath(new URL("../dist/", import.meta.url));

const report = (line: string) => void process.stderr.write(`${line}\n`);

interface Packed extends Entry {
  readonly name: AssetName;
  readonly bytes: Uint8Array;
  /** Size of the executable, unpacked. */
  readonly unpacked: number;
}

/** An executable that was made. */
export interface Made {
  readonly path: string;
  readonly bytes: number;
  /** The largest part first: the run-time, on which everything else is put. */
  readonly parts: readonly Part[];
}

/** Where the executable of a target is put. */
export function executableOf({ triple, platform }: Target): string {
  return join(DIST, `xtask-${triple}${platform.os === "windows" ? ".exe" : ""}`);
}

/** Makes one executable. */
export async function compile(target: Target, deno: string, signal: AbortSignal): Promise<Made> {
  const { triple, platform } = target;
  const path = executableOf(target);
  await Deno.mkdir(DIST, { recursive: true });
  const stage = await Deno.makeTempDir({ dir: DIST, prefix: "stage-" });
  try {
    const runtime = await denort(target, { report, signal });
    const program = await bundle(deno, join(stage, "program"), signal);
    const script = join(stage, "program", PAGE_SCRIPT_FILE);
    await Deno.copyFile(await pageScript({ report, signal }), script);
    const packed = await Promise.all((Object.keys(ASSETS) as AssetName[]).map((name) => pack(name, target, signal)));
    const { base, included } = platform.os === "linux"
      ? await placeInFront(runtime, packed, stage)
      : { base: runtime, included: await placeInside(packed, join(stage, "program")) };
    const index = join(stage, "program", INDEX);
    await Deno.writeTextFile(
      index,
      JSON.stringify(indexOf(packed, platform.os === "linux" ? await sizeOf(runtime) : undefined)),
    );
    const made = join(stage, basename(path));
    await run(deno, [
      "compile",
      // No code cache: it saves 2 ms of 42, in a file of the shared temporary folder that anybody could put there first.
      V8_FLAGS,
      ...["--quiet", "--no-config", "--no-lock", "--no-npm", "--no-remote", "--no-check", "--no-code-cache"],
      ...["--unstable-worker-options", ...Object.keys(PERMISSIONS), "--target", triple, "--output", made],
      ...[...program.included, script, index, ...included].flatMap((file) => ["--include", file]),
      program.main,
    ], { signal, env: { DENORT_BIN: base } });
    await check(made, target);
    const parts: Part[] = [
      { name: "run-time", bytes: await sizeOf(runtime), what: `deno ${DENO_VERSION}` },
      { name: "program", bytes: program.bytes, what: `${program.files} files` },
      ...packed.map(({ name, size, version, unpacked }) => ({
        name,
        bytes: size,
        what: `${version}, ${megabytes(unpacked)} unpacked`,
      })),
    ];
    const bytes = await sizeOf(made);
    assertAccounted(path, bytes, parts);
    assertWithinBudget(path, bytes, target);
    await Deno.rename(made, path);
    return { path, bytes, parts };
  } finally {
    await Deno.remove(stage, { recursive: true });
  }
}

async function pack(name: AssetName, { platform }: Target, signal: AbortSignal): Promise<Packed> {
  const { version, sha256 } = ASSETS[name];
  // Not by the variables that name an executable: what is handed out is what was pinned.
  const program = await Deno.readFile(await pinned(name, ASSETS[name], { platform, signal, report }));
  const bytes = await promisify(gzip)(program, { level: 9 });
  return {
    name,
    version,
    sha256: sha256[platformKey(platform)] as string,
    size: bytes.length,
    bytes,
    unpacked: program.length,
  };
}

async function placeInFront(runtime: string, packed: readonly Packed[], stage: string) {
  const base = join(stage, "runtime");
  await Deno.copyFile(runtime, base);
  using file = await Deno.open(base, { append: true });
  for (const { bytes } of packed) {
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
  }
  return { base, included: [] };
}

async function placeInside(packed: readonly Packed[], folder: string): Promise<string[]> {
  return await Promise.all(packed.map(async ({ name, bytes }) => {
    const path = join(folder, `${name}.gz`);
    await Deno.writeFile(path, bytes);
    return path;
  }));
}

/** @param from Where the first one begins in the executable, if they stand in front. */
function indexOf(packed: readonly Packed[], from: number | undefined): Record<string, Entry> {
  let at = from;
  return Object.fromEntries(packed.map(({ name, version, sha256, size }) => {
    const entry = { version, sha256, size, ...(at === undefined ? {} : { at }) };
    if (at !== undefined) at += size;
    return [name, entry];
  }));
}

/** It must be for its platform; one for this machine must say its version, alone in an empty environment. */
async function check(path: string, { platform, triple }: Target): Promise<void> {
  const made = await platformIn(path);
  if (made === undefined || platformKey(made) !== platformKey(platform)) {
    throw new XtaskError("internal", `${basename(path)} is no executable for ${platformKey(platform)}`);
  }
  if (platformKey(platform) !== platformKey(platformHere())) {
    report(`${triple}: made, not tried: it does not run on this machine`);
    return;
  }
  const { stdout, stderr } = await new Deno.Command(path, { args: ["version"], clearEnv: true }).output();
  const [said, complaint] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim());
  if (said?.startsWith(`xtask ${VERSION} `)) return;
  throw new XtaskError("internal", `${basename(path)} version says '${said}'`, { details: [complaint ?? ""] });
}

async function platformIn(path: string): Promise<Platform | undefined> {
  using file = await Deno.open(path);
  const head = new Uint8Array(HEAD_BYTES);
  await file.read(head);
  return platformOf(head);
}

/** A part of an executable. */
export interface Part {
  readonly name: string;
  readonly bytes: number;
  /** What it is, for people. */
  readonly what: string;
}

const restOf = (total: number, parts: readonly Part[]) => total - parts.reduce((sum, { bytes }) => sum + bytes, 0);

function assertAccounted(path: string, total: number, parts: readonly Part[]): void {
  const rest = restOf(total, parts);
  if (rest <= REST_MAX) return;
  throw new XtaskError("internal", `${basename(path)} holds ${megabytes(rest)} that no part accounts for`);
}

/** @throws {XtaskError} `exhausted` for an executable that is more than 10 % over its budget */
export function assertWithinBudget(path: string, bytes: number, { budgetMB }: Pick<Target, "budgetMB">): void {
  if (bytes <= budgetMB * 1e6 * 1.1) return;
  const message = `${basename(path)} is ${megabytes(bytes)}, more than 10 % over its budget of ${budgetMB} MB`;
  throw new XtaskError("exhausted", message, {
    details: ["take out what it can do without, or raise the budget in scripts/targets.ts and say why"],
  });
}

function printSizes({ path, bytes: total, parts }: Made): void {
  process.stdout.write(`${path}  ${megabytes(total)}\n`);
  const rest = { name: "rest", bytes: restOf(total, parts), what: "headers and the table of files" };
  for (const { name, bytes, what } of [...parts, rest]) {
    process.stdout.write(`  ${name.padEnd(12)} ${megabytes(bytes).padStart(9)}  ${what}\n`);
  }
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
const sizeOf = async (path: string) => (await Deno.stat(path)).size;

if (import.meta.main) {
  await runScript(async () => {
    const { values } = parseArgs({ args: Deno.args, options: { target: { type: "string" } } });
    const targets = targetsFor(values.target);
    if (targets.length > 1 && Deno.env.get("DENORT_BIN")) {
      throw new XtaskError("invalid", "DENORT_BIN names the run-time of one target", {
        details: ["leave it unset, or give that target"],
      });
    }
    const signal = AbortSignal.timeout(30 * 60_000);
    const deno = await compiler({ signal, report });
    for (const target of targets) printSizes(await compile(target, deno, signal));
    await layOut(DIST);
  });
}
