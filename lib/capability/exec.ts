/** Runs a process for a verb: an argument vector, an explicit environment, no standard input, bounded output. */
import { XtaskError } from "../protocol/error.ts";
import type { ExecOptions, ExecResult, NodeFacts, RunContext } from "./define.ts";
import { pause } from "../os/pause.ts";
import { MARK, markOf } from "../os/processes.ts";

/** Whoever answers for the processes of a run: it hears of them, takes their output, and ends them. */
export interface ProcessOwner {
  /** Takes output of the run. Resolves when there is room for more, which is what slows a process down. */
  output(stream: "out" | "err", bytes: Uint8Array<ArrayBuffer>): Promise<void>;
  /** A process has started, as the leader of a group of its own. */
  started(pid: number): void;
  /** It has ended. Resolves when what it left behind is gone too. */
  ended(pid: number): Promise<void>;
  /** It is to be ended, with all that it started. */
  end(pid: number): void;
}

/** What {@linkcode createExec} needs. */
export interface ExecOrigin {
  readonly command: string;
  /** Which attempt at it this is: grows where it is started again on another node. */
  readonly attempt: number;
  readonly node: NodeFacts;
  readonly signal: AbortSignal;
  readonly owner: ProcessOwner;
  /** The process writes straight to this process's own output, and reads its input: for a person at a terminal. */
  readonly inherit?: boolean;
  /** Hears the exit code of each process whose output was the run's. */
  readonly onExit: (code: number) => void;
}

/** The environment of a process of a run, with what tells whose it is. */
export function environmentOf(
  env: Readonly<Record<string, string>>,
  { node, command, attempt }: { readonly node: string; readonly command: string; readonly attempt: number },
): Record<string, string> {
  const about = { XTASK_NODE: node, XTASK_COMMAND_ID: command, XTASK_ATTEMPT: String(attempt) };
  return { ...env, ...about, [MARK]: markOf(node, command) };
}

const CAPTURE_BYTES_DEFAULT = 1024 * 1024;
/** After a process and all that it started are gone nobody can write any more; a pipe that still has not closed is given up. */
const PIPE_IDLE_MS = 2_000;
/** How long a program that was just written is waited for. */
const BUSY_MS = 1_000;
const BUSY_POLL_MS = 10;

/** The `exec` of one run. */
export function createExec(origin: ExecOrigin): RunContext["exec"] {
  const { command: id, attempt, node, signal, owner, inherit = false, onExit } = origin;
  return async (command, options = {}) => {
    const { cwd = node.dir, env = {}, output = "log", maxBytes = CAPTURE_BYTES_DEFAULT, timeoutMs } = options;
    signal.throwIfAborted();
    const direct = inherit && output === "log";
    const child = await spawn(command, origin, {
      cwd,
      env: environmentOf({ ...node.env, ...env }, { node: node.id, command: id, attempt }),
      clearEnv: true,
      stdin: direct ? "inherit" : "null",
      stdout: direct ? "inherit" : "piped",
      stderr: direct ? "inherit" : "piped",
      // A person's Ctrl-C reaches the foreground group, so a direct process stays in it.
      detached: !direct,
    });
    let timedOut = false;
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => {
      timedOut = true;
      owner.end(child.pid);
    }, timeoutMs);
    const exited = child.status.then(async (status) => {
      // Deno loads Node's timers at the first mention of one, which costs a start some 5 ms.
      if (timer !== undefined) clearTimeout(timer);
      await owner.ended(child.pid);
      return status;
    });
    const kept = { out: new Kept(maxBytes, output), err: new Kept(maxBytes, output) };
    const copy = (stream: "out" | "err") =>
      direct ? undefined : pump(
        stream === "out" ? child.stdout : child.stderr,
        exited,
        (bytes) => output === "log" ? owner.output(stream, bytes) : kept[stream].add(bytes),
      );
    const [status] = await Promise.all([exited, copy("out"), copy("err")]);
    if (timedOut) throw new XtaskError("timeout", `${command[0]} did not end within ${timeoutMs} ms and was stopped`);
    signal.throwIfAborted();
    if (output === "quiet" && status.code !== 0) {
      for (const stream of ["out", "err"] as const) await owner.output(stream, kept[stream].bytes());
    }
    if (output !== "capture") onExit(status.code);
    return {
      code: status.code,
      stdout: kept.out.text(),
      stderr: kept.err.text(),
      truncated: kept.out.truncated || kept.err.truncated,
    } satisfies ExecResult;
  };
}

/**
 * Starts it. The system runs no file that is open for writing, and whatever is started anywhere in this process holds the open
 * files of all its threads for a moment: a program that was written just now is tried again.
 */
async function spawn(
  [program, ...args]: readonly string[],
  { signal, owner }: ExecOrigin,
  options: Deno.CommandOptions,
): Promise<Deno.ChildProcess> {
  if (program === undefined) {
    throw new XtaskError("invalid", "The command is empty", { details: ["expected a program"] });
  }
  const until = performance.now() + BUSY_MS;
  for (;;) {
    try {
      const child = new Deno.Command(program, { ...options, args }).spawn();
      owner.started(child.pid);
      return child;
    } catch (cause) {
      if (!isBusy(cause)) throw spawnError(program, options, cause);
      if (performance.now() >= until) {
        throw new XtaskError("unavailable", `Cannot start '${program}': somebody is writing to it`, { cause });
      }
    }
    await pause(BUSY_POLL_MS, signal);
    signal.throwIfAborted();
  }
}

/** ETXTBSY, for which Deno has no class. */
function isBusy(error: unknown): boolean {
  return Deno.build.os !== "windows" && error instanceof Error && error.message.includes("(os error 26)");
}

function spawnError(program: string, { cwd }: Deno.CommandOptions, cause: unknown): unknown {
  if (cause instanceof Deno.errors.NotFound) {
    return new XtaskError("not_found", `Cannot start '${program}': no such program or folder`, {
      details: [`looked on PATH, in the folder ${cwd}`],
      cause,
    });
  }
  if (cause instanceof Deno.errors.PermissionDenied || cause instanceof Deno.errors.NotCapable) {
    return new XtaskError("forbidden", `Cannot start '${program}': ${cause.message}`, { cause });
  }
  return cause;
}

/**
 * Hands over all that a pipe brings; after the process's end only for as long as something still comes. (Not by racing each
 * read against that end: a promise that stays pending keeps what every race against it resolved to, here the whole output.)
 */
async function pump(
  pipe: ReadableStream<Uint8Array<ArrayBuffer>>,
  exited: Promise<unknown>,
  take: (bytes: Uint8Array<ArrayBuffer>) => Promise<void> | void,
): Promise<void> {
  const reader = pipe.getReader();
  let over = false;
  let reading = false;
  let idle: ReturnType<typeof setTimeout> | undefined;
  const watch = () => {
    clearTimeout(idle);
    if (over && reading) idle = setTimeout(() => void reader.cancel(), PIPE_IDLE_MS);
  };
  void exited.then(() => {
    over = true;
    watch();
  });
  for (;;) {
    reading = true;
    watch();
    const { value, done } = await reader.read();
    reading = false;
    watch();
    if (done) return;
    await take(value);
  }
}

/** Bounded memory of a stream: `capture` keeps its beginning, which programs parse; `quiet` its end, where failures speak. */
class Kept {
  readonly #max: number;
  readonly #mode: ExecOptions["output"];
  #chunks: Uint8Array<ArrayBuffer>[] = [];
  #size = 0;
  truncated = false;

  constructor(max: number, mode: ExecOptions["output"]) {
    this.#max = max;
    this.#mode = mode;
  }

  add(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#mode === "capture") {
      const room = this.#max - this.#size;
      this.truncated ||= bytes.length > room;
      if (room > 0) this.#chunks.push(bytes.subarray(0, room));
      this.#size += Math.min(room, bytes.length);
      return;
    }
    this.#chunks.push(bytes);
    this.#size += bytes.length;
    while (this.#size > this.#max) {
      this.truncated = true;
      const first = this.#chunks[0] as Uint8Array<ArrayBuffer>;
      const drop = Math.min(first.length, this.#size - this.#max);
      if (drop === first.length) this.#chunks.shift();
      else this.#chunks[0] = first.subarray(drop);
      this.#size -= drop;
    }
  }

  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#size);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }

  text(): string {
    return new TextDecoder().decode(this.bytes());
  }
}
