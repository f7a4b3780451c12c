/** The other side of a measurement, as a process of its own, so that it shares no thread with who measures. */
import { fileURLToPath } from "node:url";

/** A program of the folder `programs`. */
export type ProgramName =
  | "beats"
  | "echo"
  | "empty"
  | "hear"
  | "imports"
  | "lines"
  | "pipe"
  | "plain_page"
  | "replies"
  | "wait";

/** A running program. Disposing it ends it. */
export interface Program extends AsyncDisposable {
  readonly pid: number;
  /** The first line that it printed. */
  readonly line: string;
}

/** Where a program lies. */
export function pathOf(name: ProgramName): string {
  return fileURLToPath(new URL(`./programs/${name}.ts`, import.meta.url));
}

/**
 * Starts a program and resolves when it has printed its first line: that it is ready.
 *
 * @throws {Error} where it ends before that
 */
export async function startProgram(name: ProgramName, args: readonly string[]): Promise<Program> {
  return await startCommand([Deno.execPath(), "run", "-A", pathOf(name), ...args]);
}

/** As {@linkcode startProgram}, for any program. */
export async function startCommand([program = "", ...args]: readonly string[]): Promise<Program> {
  const child = new Deno.Command(program, { args, stdin: "null", stdout: "piped" }).spawn();
  const reader = child.stdout.getReader();
  const { done, value } = await reader.read();
  const read = (async () => {
    while (!(await reader.read()).done);
  })();
  if (done) throw new Error(`The program '${program}' ended with ${(await child.status).code} before it was ready`);
  return {
    pid: child.pid,
    line: new TextDecoder().decode(value).split("\n")[0] ?? "",
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await Promise.all([child.status, read]);
    },
  };
}

/** Runs a program to its end: the time from its start to its end, in ms. */
export async function timeCommand(command: string, args: readonly string[], cwd?: string): Promise<number> {
  const options = { args: [...args], ...(cwd === undefined ? {} : { cwd }) };
  const begun = performance.now();
  const { success, stderr } = await new Deno.Command(command, { ...options, stdin: "null", stdout: "piped" }).output();
  const ms = performance.now() - begun;
  if (!success) throw new Error(`${command} ${args.join(" ")} failed:\n${new TextDecoder().decode(stderr)}`);
  return ms;
}
