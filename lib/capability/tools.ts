/** Finds the programs that a capability runs, so that its Worker may run exactly those. */
import { platformHere } from "../protocol/platform.ts";
import type { Capability } from "./define.ts";
import { findExecutable } from "./find_executable.ts";

/** Where to look. */
export interface ToolsOptions {
  /** The environment whose PATH is looked through. */
  readonly env: Readonly<Record<string, string>>;
  /** Executables that are known without looking. */
  readonly known?: Readonly<Record<string, string>>;
  /** Looks for an optional tool only when it is read: most of the many that `which` knows are not asked for. */
  readonly lazy?: boolean;
}

/** What was found: absolute paths by tool name, and the required ones that are missing. */
export interface FoundTools {
  readonly tools: Readonly<Record<string, string>>;
  readonly missing: readonly string[];
}

/** The capability's tools on this machine. With `lazy`, an optional tool that is missing reads as undefined. */
export function resolveTools(
  { tools: wanted = {} }: Pick<Capability, "tools">,
  { lazy = false, ...where }: ToolsOptions,
): FoundTools {
  const tools: Record<string, string> = {};
  const missing: string[] = [];
  for (const [key, candidates] of Object.entries(wanted)) {
    const optional = key.endsWith("?");
    const name = optional ? key.slice(0, -1) : key;
    if (optional && lazy) {
      Object.defineProperty(tools, name, { enumerable: true, get: () => find(name, candidates, where) });
      continue;
    }
    const path = find(name, candidates, where);
    if (path !== undefined) tools[name] = path;
    else if (!optional) missing.push(candidates.join(" or "));
  }
  return { tools, missing };
}

function find(name: string, candidates: readonly string[], { env, known = {} }: ToolsOptions): string | undefined {
  const { os } = platformHere();
  const where = { path: env.PATH ?? "", os, ...(env.PATHEXT === undefined ? {} : { pathext: env.PATHEXT }) };
  return known[name] ?? candidates.map((program) => findExecutable(program, where)).find((path) => path !== undefined);
}
