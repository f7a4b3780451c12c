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
}

/** What was found: absolute paths by tool name, and the required ones that are missing. */
export interface FoundTools {
  readonly tools: Readonly<Record<string, string>>;
  readonly missing: readonly string[];
}

/** The capability's tools on this machine. */
export function resolveTools(capability: Capability, { env, known = {} }: ToolsOptions): FoundTools {
  const tools: Record<string, string> = {};
  const missing: string[] = [];
  const { os } = platformHere();
  const where = { path: env.PATH ?? "", os, ...(env.PATHEXT === undefined ? {} : { pathext: env.PATHEXT }) };
  for (const [key, candidates] of Object.entries(capability.tools ?? {})) {
    const optional = key.endsWith("?");
    const name = optional ? key.slice(0, -1) : key;
    const path = known[name] ??
      candidates.map((program) => findExecutable(program, where)).find((found) => found !== undefined);
    if (path !== undefined) tools[name] = path;
    else if (!optional) missing.push(candidates.join(" or "));
  }
  return { tools, missing };
}
