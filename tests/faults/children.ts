/** Processes that a process has started, dead ones that nobody has buried included. */
export function childrenOf(parent: number): number[] {
  return [...Deno.readDirSync("/proc")].map(({ name }) => Number(name)).filter((pid) => {
    if (!(pid > 0)) return false;
    try {
      // The name stands in brackets and may hold anything.
      const after = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ").at(-1) ?? "";
      return Number(after.split(" ")[1]) === parent;
    } catch {
      // It ended meanwhile.
      return false;
    }
  });
}

/** The guards that an agent has: see lib/os/guard.ts. */
export function guardsOf(agent: number): number[] {
  return childrenOf(agent).filter((pid) => Deno.readTextFileSync(`/proc/${pid}/cmdline`).endsWith("\0xtask-guard\0"));
}
