/** The list of capabilities: the one place that a new one is added to. */
import type { Capability } from "./define.ts";

const LOADERS = {
  task: () => import("./task.ts"),
  which: () => import("./which.ts"),
  got: () => import("./got/got.ts"),
  silent: () => import("./silent.ts"),
  "kill-port": () => import("./kill_port.ts"),
  docker: () => import("./docker.ts"),
  git: () => import("./git.ts"),
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
