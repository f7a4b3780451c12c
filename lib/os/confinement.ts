/**
 * What the operating system offers to bound the programs that runs start, as far as an unprivileged process can tell.
 * xtask uses none of it beyond process groups so far; this says what there would be.
 */
import { probe } from "./probe.ts";

/** One means, and whether this user has it: undefined where that cannot be told. */
export interface Confinement {
  readonly name: "user namespaces" | "landlock" | "cgroup v2" | "sandbox-exec";
  readonly available: boolean | undefined;
}

/** The means of this system; none on Windows. */
export async function confinementHere(os: typeof Deno.build.os = Deno.build.os): Promise<Confinement[]> {
  if (os === "darwin") {
    const tried = await probe("sandbox-exec", "-p", "(version 1)(allow default)", "/usr/bin/true");
    return [{ name: "sandbox-exec", available: tried?.success ?? false }];
  }
  if (os !== "linux") return [];
  const [namespace, modules, cgroup] = await Promise.all([
    // Settings and security modules may forbid it in several ways, so it is tried.
    probe("unshare", "--user", "--map-root-user", "--", "/bin/sh", "-c", ":"),
    probe("cat", "/sys/kernel/security/lsm"),
    probe("cat", "/proc/self/cgroup"),
  ]);
  return [
    { name: "user namespaces", available: namespace?.success },
    { name: "landlock", available: modules?.success ? modules.text.trim().split(",").includes("landlock") : undefined },
    { name: "cgroup v2", available: cgroup?.success ? await delegated(cgroup.text) : undefined },
  ];
}

/** Whether this process's cgroup is this user's to divide: the v2 line is the one numbered 0. */
async function delegated(lines: string): Promise<boolean | undefined> {
  const path = cgroupPath(lines);
  if (path === undefined) return false;
  return (await probe("test", "-w", `/sys/fs/cgroup${path}/cgroup.procs`))?.success;
}

/** The path in `/proc/self/cgroup` of the unified hierarchy; undefined where there is only the older kind. */
export function cgroupPath(lines: string): string | undefined {
  const path = /^0::(\/.*)$/m.exec(lines)?.[1];
  return path === "/" ? "" : path;
}
