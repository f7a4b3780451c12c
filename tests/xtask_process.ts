/** The real command line as a process of its own, for tests that kill it or read what it prints. */
import { serverMark } from "../lib/nats/server.ts";
import { endProcesses } from "../lib/os/processes.ts";
import { asset, pageScript } from "../scripts/assets.ts";
import { V8_FLAGS } from "../scripts/v8_flags.ts";
import { surroundings } from "./surroundings.ts";
import { until } from "./until.ts";

/** Where a process runs. */
export interface XtaskOptions {
  /** Its XTASK_HOME. */
  readonly home: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** A compiled xtask, with what starts it in front. Its environment is `home` and `env` and nothing else. */
  readonly program?: readonly string[];
}

/** A process. Disposing it ends it, orderly if it can. */
export interface XtaskProcess extends AsyncDisposable {
  readonly pid: number;
  /** Lines of standard output, from the first on. */
  readonly lines: AsyncIterable<string>;
  readonly status: Promise<Deno.CommandStatus>;
  /** Resolves when everything it printed has been read. */
  readonly closed: Promise<unknown>;
  /** The first line as JSON, once it is there: what `--json` says when a process is ready. */
  ready(): Promise<Record<string, string>>;
  stdoutText(): string;
  stderrText(): string;
  kill(signal: Deno.Signal): void;
}

/** The compiled xtask that is tested, where the variable names one; else this source is. */
export const PROGRAM = Deno.env.get("XTASK_TEST_PROGRAM");
/** The source is held up like the tests themselves where they are. */
const DELAYS = Deno.env.has("XTASK_TEST_DELAYS")
  ? [`--preload=${new URL("./delays.ts", import.meta.url).pathname}`]
  : [];
const TESTED = PROGRAM === undefined
  ? [Deno.execPath(), "run", "-A", V8_FLAGS, ...DELAYS, new URL("../main.ts", import.meta.url).pathname]
  : [PROGRAM];
const END_MS = 15_000;
const RUN_MS_MAX = 60_000;

/** Starts `xtask ARGS`. */
export async function spawnXtask(
  args: readonly string[],
  { home, cwd = home, env = {}, program }: XtaskOptions,
): Promise<XtaskProcess> {
  const [command = "", ...before] = program ?? TESTED;
  const child = new Deno.Command(command, {
    args: [...before, ...args],
    cwd,
    env: { ...(program === undefined ? await supplied() : {}), NO_COLOR: "1", XTASK_HOME: home, ...env },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const texts = { stdout: "", stderr: "" };
  let running = true;
  const read = async (name: "stdout" | "stderr") => {
    for await (const chunk of child[name].pipeThrough(new TextDecoderStream())) texts[name] += chunk;
  };
  const closed = Promise.all([read("stdout"), read("stderr")]);
  // Streams of a killed process may be held open by what it started, so its end is not theirs.
  const status = child.status.then((status) => {
    running = false;
    return status;
  });
  const line = (number: number) => texts.stdout.split("\n").slice(0, -1)[number];
  const lines = async function* () {
    for (let number = 0;; number++) {
      await until("another line", () => line(number) !== undefined || !running, { timeoutMs: 30_000 });
      const next = line(number);
      if (next === undefined) return;
      yield next;
    }
  };
  return {
    pid: child.pid,
    lines: lines(),
    status,
    closed,
    async ready() {
      const first = await until("the ready line", () => {
        if (!running && line(0) === undefined) throw new Error(`it ended before it was ready:\n${texts.stderr}`);
        return line(0);
      }, { timeoutMs: 30_000 });
      return JSON.parse(first);
    },
    stdoutText: () => texts.stdout,
    stderrText: () => texts.stderr,
    kill: (signal) => child.kill(signal),
    async [Symbol.asyncDispose]() {
      if (running) {
        child.kill("SIGTERM");
        child.kill("SIGTERM");
        const timer = setTimeout(() => running && child.kill("SIGKILL"), END_MS);
        await status;
        clearTimeout(timer);
      }
      // The server of a hub that was killed outlives it. A hub that never was ready may have met another one's server.
      if (args[0] === "up" && texts.stdout !== "") {
        await endProcesses({ groups: [], mark: serverMark(`${home}/hub/nats`) });
      }
      await closed;
    },
  };
}

/** Where tests run, with what would be fetched. */
async function supplied(): Promise<Record<string, string>> {
  return {
    ...surroundings(),
    XTASK_NATS_SERVER: await asset("nats-server"),
    XTASK_TASK: await asset("task"),
    XTASK_DATASTAR: await pageScript(),
  };
}

/** Runs `xtask ARGS` to its end. */
export async function xtask(args: readonly string[], options: XtaskOptions) {
  await using process = await spawnXtask(args, options);
  // What should end and does not fails here, with what it printed, instead of holding up all tests.
  const timer = setTimeout(() => process.kill("SIGKILL"), RUN_MS_MAX);
  const { code, signal } = await process.status;
  clearTimeout(timer);
  if (signal === "SIGKILL") throw new Error(`xtask ${args.join(" ")} did not end:\n${process.stderrText()}`);
  await process.closed;
  return { code, stdout: process.stdoutText(), stderr: process.stderrText() };
}
