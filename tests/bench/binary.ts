/** The compiled xtask of this machine, and what it is measured against: compiled programs that do next to nothing. */
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { run } from "../../scripts/bundle.ts";
import { compile, DIST, executableOf, type Made } from "../../scripts/compile.ts";
import { compiler, denort } from "../../scripts/denort.ts";
import { layOut } from "../../scripts/publish.ts";
import { type Target, targetsFor } from "../../scripts/targets.ts";
import { pathOf } from "./program.ts";

/** How long all of it may take; what is pinned may have to be fetched first. */
const COMPILE_MS = 15 * 60_000;

const made = new Map<string, Promise<Made>>();

/** The xtask of a target, compiled once for all measurements. */
export function compiledXtask(target: Target = here()): Promise<Made> {
  const one = made.get(target.triple) ?? compiledNow(target);
  made.set(target.triple, one);
  return one;
}

async function compiledNow(target: Target): Promise<Made> {
  const signal = AbortSignal.timeout(COMPILE_MS);
  const one = await compile(target, await compiler({ signal }), signal);
  // What lies beside it tells its hash.
  await layOut(DIST);
  return one;
}

/** The path of this machine's xtask: compiled now, or the one that was before where that is asked for. */
export async function xtaskPath({ quick }: { readonly quick: boolean }): Promise<string> {
  return quick ? executableOf(here()) : (await compiledXtask()).path;
}

/** Compiles a program of the folder `programs` into a folder, with the run-time and the flags that xtask has. */
export async function compiledProgram(name: "empty" | "wait", folder: string): Promise<string> {
  const signal = AbortSignal.timeout(COMPILE_MS);
  const path = join(folder, name);
  const flags = ["--quiet", "--no-config", "--no-lock", "--no-check", "--no-code-cache"];
  await run(await compiler({ signal }), ["compile", ...flags, "--output", path, pathOf(name)], {
    signal,
    env: { DENORT_BIN: await denort(here(), { signal }) },
  });
  return path;
}

function here(): Target {
  const [target] = targetsFor();
  if (target === undefined) throw new TypeError("There is no target for this machine");
  return target;
}

/** The folder of the Taskfile that is offered. */
export const PROJECT = fileURLToPath(new URL("../../examples/wordcount/", import.meta.url));
