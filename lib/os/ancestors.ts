/** Which processes this one descends from. */

/** Process ids from this process's parent up to the first; a few at most, so a loop in what is read cannot hang us. */
export async function ancestors(): Promise<number[]> {
  const found: number[] = [];
  let pid = Deno.ppid;
  while (pid > 0 && found.length < 64 && !found.includes(pid)) {
    found.push(pid);
    pid = await parentOf(pid);
  }
  return found;
}

async function parentOf(pid: number): Promise<number> {
  if (Deno.build.os === "linux") {
    try {
      const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
      return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return 0;
      throw error;
    }
  }
  const [program, args]: [string, string[]] = Deno.build.os === "windows"
    ? ["powershell", [
      "-NoProfile",
      "-Command",
      `(Get-CimInstance Win32_Process -Filter ProcessId=${pid}).ParentProcessId`,
    ]]
    : ["ps", ["-o", "ppid=", "-p", String(pid)]];
  const { stdout } = await new Deno.Command(program, { args, stderr: "null" }).output();
  return Number(new TextDecoder().decode(stdout).trim()) || 0;
}
