/** Which processes this one descends from. */
import { ps } from "./ps.ts";

/**
 * Process ids from this process's parent up to the first; a few at most, so a loop in what is read cannot hang us. Only the
 * parent where the system does not tell more.
 */
export async function ancestors(): Promise<number[]> {
  const parentOf = await parents();
  const found: number[] = [];
  let pid = Deno.ppid;
  while (pid > 0 && found.length < 64 && !found.includes(pid)) {
    found.push(pid);
    pid = await parentOf(pid);
  }
  return found;
}

type ParentOf = (pid: number) => number | Promise<number>;

async function parents(): Promise<ParentOf> {
  if (Deno.build.os === "windows") return fromPowerShell;
  if (Deno.build.os === "linux") {
    try {
      await fromProc(Deno.ppid);
      return fromProc;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotCapable)) throw error;
    }
  }
  const pairs = (await ps("-A", "-o", "pid=,ppid=") ?? []).map((line) => line.trim().split(/\s+/).map(Number));
  const table = new Map(pairs.map(([pid = 0, parent = 0]) => [pid, parent]));
  return (pid) => table.get(pid) ?? 0;
}

async function fromProc(pid: number): Promise<number> {
  try {
    const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

async function fromPowerShell(pid: number): Promise<number> {
  const query = `(Get-CimInstance Win32_Process -Filter ProcessId=${pid}).ParentProcessId`;
  const { stdout } = await new Deno.Command("powershell", { args: ["-NoProfile", "-Command", query], stderr: "null" })
    .output();
  return Number(new TextDecoder().decode(stdout).trim()) || 0;
}
