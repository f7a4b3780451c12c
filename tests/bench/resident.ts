/** Resident memory of processes, as `ps` tells it. */

/** So long after the last request, so that what was needed for it can be given back. */
const SETTLE_MS = 2_000;

/** Memory of a process that is left alone for a while, in MiB. */
export async function settledMiB(pid: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const [line = ""] = await ps("-o", "rss=", "-p", String(pid));
  const kib = Number(line.trim());
  if (!(kib > 0)) throw new Error(`The memory of process ${pid} cannot be read with ps`);
  return kib / 1024;
}

/** The process that this one started. */
export async function childOf(parent: number): Promise<number> {
  const found = (await ps("-e", "-o", "pid=,ppid=")).map((line) => line.trim().split(/\s+/).map(Number));
  const [pid] = found.find(([, ppid]) => ppid === parent) ?? [];
  if (pid === undefined) throw new Error(`Process ${parent} has no child`);
  return pid;
}

async function ps(...args: string[]): Promise<string[]> {
  const { stdout } = await new Deno.Command("ps", { args }).output();
  return new TextDecoder().decode(stdout).split("\n");
}
