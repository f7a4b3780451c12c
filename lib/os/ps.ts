/** The system's list of processes, for a program that may not read `/proc`: Deno opens it only to one that may do everything. */

/** Where `ps` is, for when PATH does not say. */
const PROGRAMS = ["ps", "/bin/ps", "/usr/bin/ps"];

/** The lines that `ps` prints; undefined where there is none, or it does not understand what is asked. */
export async function ps(...args: string[]): Promise<string[] | undefined> {
  for (const program of PROGRAMS) {
    try {
      const { success, stdout } = await new Deno.Command(program, { args, stdin: "null", stderr: "null" }).output();
      return success ? new TextDecoder().decode(stdout).split("\n") : undefined;
    } catch (error) {
      // One that may not be run is as good as none.
      if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) throw error;
    }
  }
  return undefined;
}
