/**
 * What a capability is: one value from which its subjects, CLI command, permissions and documentation derive.
 * Only types and two functions that check and return what they are given.
 */
import type * as v from "valibot";
import type { Platform } from "../protocol/platform.ts";

/** What a capability may know of the node before it runs: enough to say which permissions it needs. */
export interface NodeFacts {
  /** Id of the node; `local` where a command runs without a hub. */
  readonly id: string;
  readonly platform: Platform;
  /** The folder that the node offers: where its Taskfile lies and where downloads go. Absolute, symlinks resolved. */
  readonly dir: string;
  /** Absolute paths of the executables that the capability named in `tools`, as found on this node. */
  readonly tools: Readonly<Record<string, string>>;
  /** Process ids that no command may end: the agent, its ancestors, the hub and its server. */
  readonly protectedPids: readonly number[];
  /** The environment that child processes get, without xtask's own secrets. */
  readonly env: Readonly<Record<string, string>>;
}

/** How {@linkcode RunContext.exec} starts a process. */
export interface ExecOptions {
  /** Working folder; the node's by default. */
  readonly cwd?: string;
  /** Added to the node's environment. */
  readonly env?: Readonly<Record<string, string>>;
  /**
   * Where the process's output goes: `log`, the run's output as it comes (the default; its exit code is the run's);
   * `capture`, into the answer, up to `maxBytes`; `quiet`, kept aside and added to the run's output only if it fails.
   */
  readonly output?: "log" | "capture" | "quiet";
  /** How much output `capture` and `quiet` keep, in bytes. @default {1048576} */
  readonly maxBytes?: number;
  /** The process is ended after this long and `exec` rejects with `timeout`. No limit by default. */
  readonly timeoutMs?: number;
}

/** What came of a process. */
export interface ExecResult {
  /** Exit code; 128 + signal number where a signal ended it. */
  readonly code: number;
  /** With `capture` and `quiet`: standard output as text, cut at `maxBytes`. Empty with `log`. */
  readonly stdout: string;
  /** As `stdout`, of standard error. */
  readonly stderr: string;
  /** Whether something was cut. */
  readonly truncated: boolean;
}

/** What a verb's handler is given beside its input. */
export interface RunContext {
  /** The command's id. */
  readonly command: string;
  readonly node: NodeFacts;
  /** Aborted when the run is cancelled or its deadline passes. Processes of the run are ended by the host, not by the handler. */
  readonly signal: AbortSignal;
  /** Adds to the run's output; a newline is added where the text has none. */
  log(text: string): void;
  /** Runs a program: an argument vector, never a shell. Its standard input is empty, so nothing can wait for a person. */
  exec(command: readonly string[], options?: ExecOptions): Promise<ExecResult>;
  /** SIGTERM or SIGKILL to one process (a forced end on Windows, whichever is asked). False where it is gone already. */
  kill(pid: number, signal: "SIGTERM" | "SIGKILL"): boolean;
}

/** How a verb's input maps to a command line; the rest of its fields become `--flags`. */
export interface VerbCli {
  /** The fields given by position, in order; the last takes all that is left if it is a list. */
  readonly positional?: string | readonly string[];
  /**
   * What stands behind `--` is added to the last positional field: as it is (`append`), or with the `--` itself in front
   * (`keep-dashes`). Without it a `--` is refused.
   */
  readonly rest?: "append" | "keep-dashes";
  /** The exit code that a successful answer means: `which` ends with 1 where something is missing. @default always 0 */
  readonly exitCode?: (output: unknown) => number;
}

/** A process, as it is started. */
export interface Process {
  readonly command: readonly string[];
  /** Working folder. */
  readonly cwd: string;
  /** Added to the node's environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** How a verb runs whose run may outlive the agent: as one process, of which nothing but its exit code decides. */
export interface Keep<I = unknown, O = unknown> {
  /** The process that does it. */
  process(input: I, context: Pick<RunContext, "node">): Promise<Process>;
  /** The verb's output. */
  output(exitCode: number): O;
}

/** One thing that a capability does. */
export interface Verb<I = unknown, O = unknown> {
  /** One line for people and agents, without a period. */
  readonly summary: string;
  /**
   * `read`: changes nothing, so asking twice does no harm and nothing need be journalled before it runs.
   * `change`: started at most once for each attempt.
   */
  readonly effect: "read" | "change";
  /** What it takes; an object schema, strict, each field described by `v.description`. */
  readonly input: v.GenericSchema<unknown, I>;
  /** What its result's `data` holds. */
  readonly output: v.GenericSchema<unknown, O>;
  readonly cli?: VerbCli;
  /** The input field that is the verb's token in the subject (`xtask.{node}.kill-port.{port}`), a number. */
  readonly token?: string;
  /**
   * Does it. Returns the typed output; throws an `XtaskError` where the run failed for a
   * reason worth telling (anything else reads as `internal`). The run succeeds
   * if it returns and the last process whose output was the run's output ended with 0.
   */
  run(input: I, context: RunContext): Promise<O>;
  /** Given where its run may outlive the agent, if that is asked. */
  readonly keep?: Keep<I, O>;
}

/** Something a node can do. */
export interface Capability {
  readonly name: string;
  /** One line for people and agents, without a period. */
  readonly summary: string;
  /**
   * Programs that it runs: a name and the candidates for it, the first on PATH wins. A node on which one is missing does
   * not have the capability, unless its name ends with `?`.
   */
  readonly tools?: Readonly<Record<string, readonly string[]>>;
  /** The Deno permissions of its Worker: least privilege. What is not named is denied. */
  readonly permissions: (node: NodeFacts) => Deno.PermissionOptionsObject;
  /** Where having the tools is not enough: why this node cannot offer the capability, or undefined if it can. */
  readonly ready?: (context: RunContext) => Promise<string | undefined>;
  readonly verbs: Readonly<Record<string, Verb>>;
  /** The verb meant where a command line names none. Needless with one verb. */
  readonly defaultVerb?: string;
}

/** One verb, with its input and output types inferred from their schemas. */
export function verb<I, O>(definition: Verb<I, O>): Verb {
  // The host parses input and output with these very schemas around each call, so that the erased types hold.
  return definition as Verb;
}

const NAME = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

/**
 * A capability. Checks what types cannot say.
 *
 * @throws {TypeError} if a name cannot be a subject token, or the default verb does not exist
 */
export function defineCapability(definition: Capability): Capability {
  const { name, verbs, defaultVerb } = definition;
  for (const token of [name, ...Object.keys(verbs)]) {
    if (!NAME.test(token)) throw new TypeError(`Cannot define capability '${name}' as '${token}' is no subject token`);
  }
  if (defaultVerb !== undefined && !(defaultVerb in verbs)) {
    throw new TypeError(`Cannot define capability '${name}' as its default verb '${defaultVerb}' does not exist`);
  }
  return definition;
}

/** A verb's subject token and payload: for `kill-port` the port is the token. */
export function wireForm(
  { token }: Pick<Verb, "token">,
  verb: string,
  input: unknown,
): { readonly verb: string; readonly input: unknown } {
  if (token === undefined) return { verb, input };
  const { [token]: value, ...rest } = input as Record<string, unknown>;
  return { verb: String(value), input: rest };
}
