/**
 * Asks the system by its own small programs what this process may not look at: Deno opens `/proc` and `/sys` only to one
 * that may do everything.
 */

/** What a program said, and whether it ended well. */
export interface Probed {
  readonly success: boolean;
  readonly text: string;
}

/** Where programs are, for when PATH does not say. */
const PATHS = [undefined, "/usr/bin:/bin"];
const PROBE_MS = 3_000;

/** Runs a program without input; undefined where there is none, or it does not end within 3 s. */
export async function probe(program: string, ...args: string[]): Promise<Probed | undefined> {
  for (const path of PATHS) {
    const signal = AbortSignal.timeout(PROBE_MS);
    try {
      const { success, stdout } = await new Deno.Command(program, {
        args,
        ...(path === undefined ? {} : { env: { PATH: path } }),
        signal,
        stdin: "null",
        stderr: "null",
      }).output();
      return signal.aborted ? undefined : { success, text: new TextDecoder().decode(stdout) };
    } catch (error) {
      // One that may not be run is as good as none.
      if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) throw error;
    }
  }
  return undefined;
}
