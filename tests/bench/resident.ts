/** What processes take: resident memory as `ps` tells it, and computing time. */

/** So long after the last request, so that what was needed for it can be given back. */
const SETTLE_MS = 2_000;
/** When that is, the collector decides: the least of some looks is what a process keeps. */
const LOOKS = 5;
const LOOK_MS = 500;

/** Memory of a process that is left alone for a while, in MiB. */
export async function settledMiB(pid: number): Promise<number> {
  await passed(SETTLE_MS);
  let least = Infinity;
  for (let look = 0; look < LOOKS; look++) {
    const [line = ""] = await ps("-o", "rss=", "-p", String(pid));
    const kib = Number(line.trim());
    if (!(kib > 0)) throw new Error(`The memory of process ${pid} cannot be read with ps`);
    least = Math.min(least, kib / 1024);
    await passed(LOOK_MS);
  }
  return least;
}

const passed = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** The process of that name that this one started. */
export async function childOf(parent: number, name: string): Promise<number> {
  const found = (await ps("-e", "-o", "pid=,ppid=,comm=")).map((line) => line.trim().split(/\s+/));
  const [pid] = found.find(([, ppid, comm]) => Number(ppid) === parent && comm === name) ?? [];
  if (pid === undefined) throw new Error(`Process ${parent} has no child '${name}'`);
  return Number(pid);
}

async function ps(...args: string[]): Promise<string[]> {
  const { stdout } = await new Deno.Command("ps", { args }).output();
  return new TextDecoder().decode(stdout).split("\n");
}

/** What a process has computed so far, on Linux. */
export function cpuMs(pid: number): number {
  const fields = Deno.readTextFileSync(`/proc/${pid}/stat`).split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
