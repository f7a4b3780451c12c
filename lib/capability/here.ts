/**
 * Runs a verb in this process: what `xtask which go` does on the machine it is typed on, with no hub. A process that runs
 * one command for the person who typed it needs no Worker around the handler.
 */
import { newCommandId } from "../protocol/id.ts";
import { parse } from "../protocol/parse.ts";
import { platformHere } from "../protocol/platform.ts";
import { XtaskError } from "../protocol/error.ts";
import type { Capability, NodeFacts, RunContext } from "./define.ts";
import { createExec, type ProcessOwner } from "./exec.ts";
import { endProcesses, markOf, sendSignal } from "../os/processes.ts";
import { resolveTools } from "./tools.ts";

/** How {@linkcode runHere} runs a verb. */
export interface HereOptions {
  /** The folder that stands for the node's. */
  readonly dir: string;
  /** Environment of child processes. */
  readonly env: Readonly<Record<string, string>>;
  /** Executables that are not looked for on PATH: `{ task: "/…/task" }`. */
  readonly tools?: Readonly<Record<string, string>>;
  readonly protectedPids?: readonly number[];
  readonly signal?: AbortSignal;
  /** Gets the run's output. Without it processes write straight to this process's own output, and `log` does too. */
  readonly output?: (stream: "out" | "err", bytes: Uint8Array<ArrayBuffer>) => void;
}

/** What came of it. */
export interface HereResult {
  readonly data: unknown;
  /** Exit code of the last process whose output was the run's. */
  readonly exitCode?: number;
}

/**
 * Runs a verb here and now.
 *
 * @throws {XtaskError} `invalid` for input that its schema refuses, `unavailable` where a program it needs is missing, and
 * what the handler throws
 */
export async function runHere(
  capability: Capability,
  verbName: string,
  input: unknown,
  options: HereOptions,
): Promise<HereResult> {
  const { dir, env, tools = {}, protectedPids = [Deno.pid], signal = new AbortController().signal, output } = options;
  const verb = capability.verbs[verbName];
  if (verb === undefined) throw new XtaskError("not_found", `${capability.name} has no verb '${verbName}'`);
  const parsed = parse(verb.input, input, `input of ${capability.name}.${verbName}`);
  const found = resolveTools(capability, { env, known: tools, lazy: true });
  if (found.missing.length > 0) {
    throw new XtaskError("unavailable", `${capability.name} needs ${found.missing.join(" and ")} on PATH`);
  }
  const node: NodeFacts = { id: "local", platform: platformHere(), dir, tools: found.tools, protectedPids, env };
  const command = newCommandId();
  const mark = markOf(node.id, command);
  let exitCode: number | undefined;
  const write = output ?? writeThrough;
  const groups = new Set<number>();
  const owner: ProcessOwner = {
    // deno-lint-ignore require-await -- the owner's contract is a promise; writing here is immediate
    output: async (stream, bytes) => write(stream, bytes),
    started: (pid) => void groups.add(pid),
    async ended(pid) {
      // Where a process shares the terminal, so does what it leaves behind: `xtask task` then behaves as `task` does.
      groups.delete(pid);
      if (output === undefined) return;
      await endProcesses({ groups: [pid], ...(groups.size === 0 ? { mark } : {}) });
    },
    end: (pid) => void endProcesses({ groups: [pid], mark }),
  };
  const onAbort = () => void endProcesses({ groups: [...groups], mark });
  signal.addEventListener("abort", onAbort, { once: true });
  const context: RunContext = {
    command,
    node,
    signal,
    log: (text) => write("out", new TextEncoder().encode(text.endsWith("\n") ? text : `${text}\n`)),
    exec: createExec({
      command,
      attempt: 1,
      node,
      signal,
      owner,
      inherit: output === undefined,
      onExit: (code) => exitCode = code,
    }),
    kill: (pid, name) => sendSignal(pid, name),
  };
  try {
    const data = parse(verb.output, await verb.run(parsed, context), `output of ${capability.name}.${verbName}`);
    return { data, ...(exitCode === undefined ? {} : { exitCode }) };
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

function writeThrough(stream: "out" | "err", bytes: Uint8Array): void {
  const to = stream === "out" ? Deno.stdout : Deno.stderr;
  for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
}
