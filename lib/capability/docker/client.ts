/** Calls the container client that the node has. */
import { XtaskError } from "../../protocol/error.ts";
import type { NodeFacts, RunContext } from "../define.ts";

/** The client answers from a daemon on the same machine; one that takes longer is as good as none. */
const ANSWER_MS = 15_000;
const READY_MS = 5_000;
/** Five hundred containers with long labels. */
const ANSWER_BYTES_MAX = 8 * 1024 * 1024;
/** For ending a container after a cancelled run; together with the client's own grace less than the host gives a handler. */
const END_MS = 4_000;

/** The client's executable. */
export function clientOf({ tools: { docker } }: NodeFacts): string {
  if (docker === undefined) throw new TypeError("Cannot call a container client as none was resolved");
  return docker;
}

/**
 * What the client prints, for reading.
 *
 * @throws {XtaskError} `unavailable` with the client's own words where it fails, `exhausted` where it says too much
 */
export async function ask(args: readonly string[], context: RunContext): Promise<string> {
  const { code, stdout, stderr, truncated } = await context.exec([clientOf(context.node), ...args], {
    output: "capture",
    timeoutMs: ANSWER_MS,
    maxBytes: ANSWER_BYTES_MAX,
  });
  if (code !== 0) {
    throw new XtaskError("unavailable", "The container client has no answer", { details: lastLines(stderr) });
  }
  if (truncated) throw new XtaskError("exhausted", "The container client's answer is too long to be read");
  return stdout;
}

/** Runs the client with its output being the run's; its exit code is the run's as well. */
export async function call(args: readonly string[], context: RunContext): Promise<{ exitCode: number }> {
  const { code } = await context.exec([clientOf(context.node), ...args]);
  return { exitCode: code };
}

/** Why there is nobody to run containers, or undefined: a client alone is not enough, but podman needs no daemon. */
export async function cannotRun(context: RunContext): Promise<string | undefined> {
  try {
    const { code, stderr } = await context.exec([clientOf(context.node), "version", "--format", "{{json .}}"], {
      output: "capture",
      timeoutMs: READY_MS,
    });
    // Docker prints its client's version even so, but ends with 1 where no daemon answers.
    return code === 0 ? undefined : lastLines(stderr).at(-1) ?? `the container client ended with ${code}`;
  } catch (error) {
    context.signal.throwIfAborted();
    if (error instanceof XtaskError) return error.message;
    throw error;
  }
}

/**
 * Ends a container whose run was cancelled. The daemon runs it, so ending the client leaves it alive where it ignores the
 * SIGTERM that the client passes on, as does any program that is process 1 and has no handler for it.
 */
export async function endContainer(name: string, node: NodeFacts): Promise<void> {
  // Not by `exec`, which starts nothing once the run is aborted and whose processes are ended with it.
  const child = new Deno.Command(clientOf(node), {
    args: ["kill", "--", name],
    cwd: node.dir,
    clearEnv: true,
    env: node.env,
    stdin: "null",
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.timeout(END_MS),
  }).spawn();
  await child.status;
}

function lastLines(text: string): string[] {
  return text.trim().split("\n").filter((line) => line !== "").slice(-5);
}
