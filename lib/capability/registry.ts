/** The list of capabilities. A new one is added here and, as the types then demand, to what Workers load (worker.ts). */
import type { Capability } from "./define.ts";

/**
 * Deno reads all that a literal `import("…")` leads to before a program's first line runs, whether or not it is ever called:
 * a third of a short command's time. `as string` hides the path from that, and from nothing else: the bundler sees through it.
 */
const LOADERS = {
  task: () => import("./task.ts" as string),
  which: () => import("./which.ts" as string),
  got: () => import("./got/got.ts" as string),
  silent: () => import("./silent.ts" as string),
  "kill-port": () => import("./kill_port.ts" as string),
  docker: () => import("./docker.ts" as string),
  git: () => import("./git.ts" as string),
} as const satisfies Record<string, () => Promise<{ default: Capability }>>;

/** The name of a capability. */
export type CapabilityName = keyof typeof LOADERS;

/** All names, in the order people see them. */
export const CAPABILITY_NAMES = Object.keys(LOADERS) as CapabilityName[];

/** Whether the text names a capability. */
export function isCapabilityName(text: string): text is CapabilityName {
  return Object.hasOwn(LOADERS, text);
}

/** One definition; only what it needs is loaded. */
export async function loadCapability(name: CapabilityName): Promise<Capability> {
  return (await LOADERS[name]()).default;
}
