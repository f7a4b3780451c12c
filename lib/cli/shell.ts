/** The surroundings of one invocation: arguments aside, all that a command reads from or writes to its shell. */
import { XtaskError } from "../protocol/error.ts";
import type { Fleet } from "../client/fleet.ts";
import { type Context, type Contexts, contextsIn } from "./contexts.ts";
import { type Paths, pathsOf } from "./paths.ts";

/** What a command gets as `this`. */
export interface Shell {
  readonly process: ShellProcess;
  readonly env: Readonly<Record<string, string>>;
  readonly cwd: string;
  readonly paths: Paths;
  readonly contexts: Contexts;
  /** What stood behind `--`. */
  readonly rest: readonly string[];
  /** Whether output may be coloured. */
  readonly color: boolean;
  /** A line on standard output. */
  print(line: string): void;
  /** A line on standard error: for people, never part of the answer. */
  note(line: string): void;
  /** Ends the process with this code once the command is through. */
  exit(code: number): void;
  /** The fleet that is meant: by `--context`, the environment, or the current context. */
  context(name?: string): Promise<Context>;
  /** Connects to that fleet, or to another. */
  connect(fleet?: string | Context, signal?: AbortSignal): Promise<Fleet>;
}

/** What the CLI library wants of a process. */
export interface ShellProcess {
  readonly stdout: { write(text: string): void };
  readonly stderr: { write(text: string): void };
  readonly env: Readonly<Partial<Record<string, string>>>;
  exitCode?: number | string | null;
}

/** The shell that this process was started from. */
export function createShell(rest: readonly string[]): Shell {
  const env = Deno.env.toObject();
  const paths = pathsOf((name) => env[name]);
  const contexts = contextsIn(paths.config);
  const color = env.NO_COLOR === undefined && env.TERM !== "dumb" && Deno.stdout.isTerminal();
  const process: ShellProcess = {
    stdout: { write: (text) => writeAll(Deno.stdout, text) },
    stderr: { write: (text) => writeAll(Deno.stderr, text) },
    env: color ? env : { ...env, STRICLI_NO_COLOR: "1" },
  };
  const context = async (name?: string): Promise<Context> => {
    const chosen = name ?? env.XTASK_CONTEXT;
    if (chosen !== undefined) return await contexts.get(chosen);
    const url = env.XTASK_NATS_URL ?? env.NATS_URL;
    const creds = env.XTASK_NATS_CREDS ?? env.NATS_CREDS;
    if (url !== undefined && creds !== undefined) {
      return {
        name: "environment",
        url,
        creds,
        project: env.XTASK_PROJECT ?? "default",
        ...(env.XTASK_HTTP_URL === undefined ? {} : { http: env.XTASK_HTTP_URL }),
        ...(env.XTASK_TOKEN === undefined ? {} : { token: env.XTASK_TOKEN }),
        ...(env.NATS_CA === undefined ? {} : { ca: env.NATS_CA }),
      };
    }
    const current = await contexts.current();
    if (current !== undefined) return await contexts.get(current);
    throw new XtaskError("unavailable", "No hub is known here", {
      details: ["start one: xtask up", "or join one with a token from its owner: xtask auth join --hub URL TOKEN"],
    });
  };
  return {
    process,
    env,
    cwd: Deno.cwd(),
    paths,
    contexts,
    rest,
    color,
    print: (line) => process.stdout.write(`${line}\n`),
    note: (line) => process.stderr.write(`${line}\n`),
    exit: (code) => void (process.exitCode = code),
    context,
    async connect(fleet, signal) {
      const { url, creds, ca, node } = typeof fleet === "object" ? fleet : await context(fleet);
      let text: string | undefined;
      try {
        if (creds !== undefined) text = await Deno.readTextFile(creds);
      } catch (cause) {
        throw new XtaskError("unauthenticated", `The credential ${creds} cannot be read`, {
          details: [(cause as Error).message],
          cause,
        });
      }
      // The NATS client costs more start-up than everything else together, and most of what is typed here needs none.
      const { connectFleet }: typeof import("../client/fleet.ts") = await import("../client/fleet.ts" as string);
      const { inboxPrefix }: typeof import("../protocol/subjects.ts") = await import(
        "../protocol/subjects.ts" as string
      );
      return await connectFleet({
        servers: url,
        ...(text === undefined ? {} : { creds: text }),
        name: "xtask cli",
        ...(node === undefined ? {} : { inboxPrefix: inboxPrefix(node) }),
        ...(ca === undefined ? {} : { tls: { ca: await Deno.readTextFile(ca) } }),
        ...(signal === undefined ? {} : { signal }),
      });
    },
  };
}

/** A reader that has gone (`xtask … | head`) is no error of ours: there is nobody left to write for. */
function writeAll(to: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
  } catch (error) {
    if (error instanceof Deno.errors.BrokenPipe) Deno.exit(141);
    throw error;
  }
}
