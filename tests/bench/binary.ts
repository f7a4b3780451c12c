/** The compiled xtask of this machine, and what it is measured against: compiled programs that do next to nothing. */
import { fileURLToPath } from "node:url";
import { join } from "node:path";
import { run } from "../../scripts/bundle.ts";
import { compile, DIST, type Made } from "../../scripts/compile.ts";
import { compiler, denort } from "../../scripts/denort.ts";
import { layOut } from "../../scripts/publish.ts";
import { type Target, targetsFor } from "../../scripts/targets.ts";
import { pathOf } from "./program.ts";

/** How long all of it may take; what is pinned may have to be fetched first. */
const COMPILE_MS = 15 * 60_000;

/** Compiles xtask for a target. */
export async function compiledXtask(target: Target = here()): Promise<Made> {
  const signal = AbortSignal.timeout(COMPILE_MS);
  const made = await compile(target, await compiler({ signal }), signal);
  // What lies beside it tells its hash.
  await layOut(DIST);
  return made;
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
