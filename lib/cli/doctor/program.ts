/** The program itself: what it is, what it may do, what it brought along. */
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { isStored } from "../../../scripts/asset_store.ts";
import { assetFile, type AssetName, ASSETS, cacheFolder, chosenAsset } from "../../../scripts/assets.ts";
import { probe } from "../../os/probe.ts";
import { XtaskError } from "../../protocol/error.ts";
import { platformHere } from "../../protocol/platform.ts";
import { VERSION } from "../../protocol/version.ts";
import { embedded } from "../embedded.ts";
import type { Shell } from "../shell.ts";
import { type Finding, look } from "./finding.ts";

/** What it needs, and what it does without. */
const NEEDED = ["read", "write", "run", "net", "env", "sys"] as const;
const NEEDLESS = ["ffi", "import"] as const;

/** Looks at the program. */
export async function programFindings(shell: Shell): Promise<Finding[]> {
  const { os, arch } = platformHere();
  const made = Deno.build.standalone
    ? `compiled: ${Deno.execPath()}`
    : `from source: ${fileURLToPath(new URL("../../../", import.meta.url))}`;
  return [
    { what: "xtask", state: "ok", found: `${VERSION}, ${os}/${arch}, deno ${Deno.version.deno}, ${made}` },
    await permissions(),
    ...await Promise.all((Object.keys(ASSETS) as AssetName[]).map((name) => executable(shell, name))),
  ];
}

async function permissions(): Promise<Finding> {
  const granted = async (name: (typeof NEEDED | typeof NEEDLESS)[number]) =>
    // The list of types lacks `import`.
    (await Deno.permissions.query({ name: name as Deno.PermissionName })).state === "granted";
  const lacking: string[] = [];
  for (const name of NEEDED) if (!await granted(name)) lacking.push(name);
  const beyond: string[] = [];
  for (const name of NEEDLESS) if (await granted(name)) beyond.push(name);
  const what = "permissions";
  if (lacking.length > 0) {
    return { what, state: "wrong", found: `not granted: ${lacking.join(", ")}`, advice: "start it with deno run -A" };
  }
  const bounds = beyond.length === 0
    ? `; never ${NEEDLESS.join(", ")}`
    : `; and ${beyond.join(", ")}, which it never uses`;
  return { what, state: "ok", found: `${NEEDED.join(", ")}${bounds}; capabilities of a node get less` };
}

/** An executable that xtask brings along: which one is used, where it lies, and that it runs. */
async function executable(shell: Shell, name: AssetName): Promise<Finding> {
  // The capability that runs it has that name itself.
  return await look(name === "task" ? "go-task" : name, async () => {
    const chosen = await chosenAsset(name);
    if (chosen !== undefined) {
      const version = await versionOf(chosen);
      return { found: `${version}, ${chosen}, by ${ASSETS[name].override}`, data: { version, path: chosen } };
    }
    const { version, sha256 } = await pinnedOf(name);
    const cacheDir = cacheFolder((name) => shell.env[name]);
    const path = assetFile(cacheDir, name, { version, sha256, platform: platformHere() });
    if (!await isStored(path, sha256)) {
      const how = Deno.build.standalone ? "is inside, and unpacked on first use into" : "is fetched on first use, into";
      return { found: `${version} ${how} ${dirname(path)}`, data: { version } };
    }
    const said = await versionOf(path);
    const how = Deno.build.standalone ? "is inside, unpacked in" : "was fetched into";
    if (said === version) return { found: `${version} ${how} ${dirname(path)}`, data: { version, path } };
    throw new XtaskError("conflict", `${path} says it is ${said}, not ${version}`, {
      details: [`remove ${dirname(path)}; it is made anew when it is needed`],
    });
  }, `set ${ASSETS[name].override} to a ${name} of yours`);
}

async function pinnedOf(name: AssetName): Promise<{ version: string; sha256: string }> {
  if (Deno.build.standalone) return await embedded(name);
  const { os, arch } = platformHere();
  const { version, sha256 } = ASSETS[name];
  const pinned = sha256[`${os}-${arch}`];
  if (pinned !== undefined) return { version, sha256: pinned };
  throw new XtaskError("not_found", `There is no ${name} ${version} for ${os}/${arch}`);
}

/** A file can be whole and still not run: on a disk mounted without the right to execute, say. */
async function versionOf(path: string): Promise<string> {
  const said = await probe(path, "--version");
  const version = /\d+\.\d+\.\d+/.exec(said?.text ?? "")?.[0];
  if (said?.success && version !== undefined) return version;
  throw new XtaskError("unavailable", `${path} does not run`, {
    details: ["is its disk mounted with noexec? set XTASK_CACHE to a folder where programs may run"],
  });
}
