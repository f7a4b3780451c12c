/** The machine: its folders and their disks, what bounds runs, what it can offer as a node. */
import { statfs } from "node:fs/promises";
import { dirname } from "node:path";
import { cacheFolder } from "../../../scripts/assets.ts";
import { CAPABILITY_NAMES, loadCapability } from "../../capability/registry.ts";
import { resolveTools } from "../../capability/tools.ts";
import { confinementHere } from "../../os/confinement.ts";
import { startGuard } from "../../os/guard.ts";
import { findsStrays } from "../../os/processes.ts";
import { XtaskError } from "../../protocol/error.ts";
import { LOG_SPOOL_BYTES } from "../../protocol/limits.ts";
import { platformHere } from "../../protocol/platform.ts";
import type { Shell } from "../shell.ts";
import { type Finding, look } from "./finding.ts";

/** The output of runs that a node keeps while the hub is away, and as much for all the rest. */
const FREE_BYTES_MIN = 2 * LOG_SPOOL_BYTES;

/** Looks at the machine. */
export async function machineFindings(shell: Shell): Promise<Finding[]> {
  const cache = cacheFolder((name) => shell.env[name]);
  const { data, config } = shell.paths;
  const home = "set XTASK_HOME to a folder that you may write to";
  return [
    await look("home", () => folder(data), home),
    ...(config.startsWith(data) ? [] : [await look("contexts", () => folder(config), home)]),
    await look("cache", () => folder(cache), "set XTASK_CACHE to a folder that you may write to"),
    await ending(),
    await guarding(),
    await confinement(),
    ...await capabilities(shell),
  ];
}

/** A folder in which something can be written, or could once it is made, with room left. */
async function folder(path: string): Promise<Pick<Finding, "found" | "data">> {
  const there = await nearest(path);
  const probe = await Deno.makeTempFile({ dir: there, prefix: ".xtask-doctor-" }).catch((cause) => {
    throw new XtaskError("forbidden", `${there} cannot be written: ${cause.message}`, { cause });
  });
  await Deno.remove(probe);
  const { bavail, bsize } = await statfs(there);
  const free = bavail * bsize;
  if (free < FREE_BYTES_MIN) {
    throw new XtaskError("exhausted", `${path} has ${size(free)} left on its disk`, {
      details: [`free some space: a node or hub wants ${size(FREE_BYTES_MIN)} at least`],
    });
  }
  const later = there === path ? "" : " (made when it is needed)";
  return { found: `${path}${later}, ${size(free)} free`, data: { path, freeBytes: free } };
}

/** The folder itself, or the first above it that there is. */
async function nearest(path: string): Promise<string> {
  try {
    if ((await Deno.stat(path)).isDirectory) return path;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw new XtaskError("forbidden", `${path} cannot be read`);
    if (dirname(path) !== path) return await nearest(dirname(path));
  }
  throw new XtaskError("conflict", `${path} is no folder`);
}

const size = (bytes: number) => bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;

/** How a run's processes are found when it is to end. */
async function ending(): Promise<Finding> {
  const what = "ending runs";
  if (Deno.build.os === "windows") {
    return { what, state: "ok", found: "the tree of processes below the run's own; one that left it is not found" };
  }
  if (await findsStrays()) return { what, state: "ok", found: "process groups, and by its mark what left its group" };
  return {
    what,
    state: "note",
    found: "process groups alone: there is no ps here, so what leaves its group stays",
    advice: "install ps (of procps) on a machine that runs tasks",
  };
}

/** What becomes of runs when the agent is killed: tried, by a guard that is sent away again. */
async function guarding(): Promise<Finding> {
  const what = "when killed";
  await using guard = await startGuard(() => {});
  if (guard !== undefined) {
    return { what, state: "ok", found: "what an agent ran ends with it, by a shell that watches it" };
  }
  return {
    what,
    state: "note",
    found: "what an agent ran ends when it starts again",
    ...(Deno.build.os === "windows" ? {} : { advice: "there is no sh here; with one it would end at once" }),
  };
}

/** What bounds the programs of a run: nothing but the user's own rights, which is said as it is. */
async function confinement(): Promise<Finding> {
  const words = { true: "yes", false: "no", undefined: "cannot be told" } as const;
  const means = (await confinementHere()).map(({ name, available }) => `${name}: ${words[`${available}`]}`);
  const offered = means.length === 0 ? "" : ` (the system has ${means.join(", ")}; xtask uses none of it)`;
  const root = Deno.build.os !== "windows" && Deno.uid() === 0;
  return {
    what: "confinement",
    state: "note",
    found: `none: a task has all rights of ${root ? "root" : "this user"}${offered}`,
    ...(root ? { advice: "let an agent run as a user of its own" } : {}),
  };
}

async function capabilities(shell: Shell): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const name of CAPABILITY_NAMES) {
    const capability = await loadCapability(name);
    // Task comes with xtask, wherever it lies.
    const { tools, missing } = resolveTools(capability, { env: shell.env, known: { task: "task" } });
    if (missing.length > 0) {
      const advice = "needed only where this node is to offer it";
      found.push({ what: name, state: "note", found: `no ${missing.join(" and ")} on PATH`, advice });
      continue;
    }
    const node = { id: "node", platform: platformHere(), dir: "FOLDER", tools, protectedPids: [], env: shell.env };
    const asked = capability.ready === undefined ? "" : ", if it finds it ready when it starts";
    const bounds = permissionsText(capability.permissions(node));
    found.push({ what: name, state: "ok", found: `a node can offer it${asked}; its Worker may: ${bounds}` });
  }
  return found;
}

/** More than so many are only counted. */
const LISTED_MAX = 2;

/** Permissions in Deno's words: `read FOLDER, run /usr/bin/git`. */
export function permissionsText(permissions: Deno.PermissionOptionsObject): string {
  const texts = Object.entries(permissions).map(([name, granted]) => {
    if (!Array.isArray(granted)) return granted === true ? `${name} any` : undefined;
    return `${name} ${granted.length > LISTED_MAX ? `${granted.length} of its own` : granted.join(" ")}`;
  });
  return texts.filter((text) => text !== undefined).join(", ") || "none";
}
