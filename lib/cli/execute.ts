/** Runs what was typed: on this machine, or on nodes of the fleet. */
import type { Capability } from "../capability/define.ts";
import { runHere } from "../capability/here.ts";
import { ERROR_CODES, XtaskError } from "../protocol/error.ts";
import { assertPlacement, deadlineOf, type Typed } from "../words/placement.ts";
import type { Shell } from "./shell.ts";

/** Runs it and sets the exit code. */
export async function execute(shell: Shell, typed: Typed): Promise<void> {
  const { on, any, move } = typed.placement;
  assertPlacement(typed.placement, typed.capability.verbs[typed.verb]?.effect ?? "change");
  if (move) {
    const { executeMoving }: typeof import("./moving.ts") = await import("./moving.ts" as string);
    return await executeMoving(shell, typed);
  }
  if (on === undefined && any === undefined) return await executeHere(shell, typed);
  const { executeThere }: typeof import("./there.ts") = await import("./there.ts" as string);
  await executeThere(shell, typed);
}

async function executeHere(shell: Shell, { capability, verb, input, placement }: Typed): Promise<void> {
  const { json, detach, keep } = placement;
  if (keep) {
    throw new XtaskError("invalid", "--keep is for a node's agent, which the run then outlives", {
      details: ["add --on SELECTOR"],
    });
  }
  if (detach) {
    throw new XtaskError("invalid", "--detach needs a node to leave it to", { details: ["add --on SELECTOR"] });
  }
  const stop = new AbortController();
  const deadline = deadlineOf(placement);
  using _ending = deadline === undefined ? undefined : await endAt(deadline, stop);
  // A program that shares our terminal gets Ctrl-C itself and decides; we only pass on how it ended.
  const onInterrupt = () => json && stop.abort(new XtaskError("cancelled", "Cancelled"));
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    const { data, exitCode = 0 } = await runHere(capability, verb, input, {
      dir: shell.cwd,
      env: shell.env,
      tools: await knownTools(shell, capability),
      signal: stop.signal,
      ...(json ? { output: (stream, bytes) => printLog(shell, stream, bytes) } : {}),
    });
    const code = exitCode === 0 ? capability.verbs[verb]?.cli?.exitCode?.(data) ?? 0 : exitCode;
    if (json) {
      shell.print(
        JSON.stringify({
          type: "result",
          node: "local",
          capability: capability.name,
          verb,
          state: exitCode === 0 ? "succeeded" : "failed",
          exitCode,
          data,
        }),
      );
    }
    shell.exit(code);
  } catch (thrown) {
    const error = XtaskError.from(thrown);
    if (!json) throw error;
    shell.print(
      JSON.stringify({
        type: "result",
        node: "local",
        capability: capability.name,
        verb,
        state: "failed",
        error: error.toWire(),
      }),
    );
    shell.exit(ERROR_CODES[error.code].exit);
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
}

/** Loaded where there is a deadline: Deno loads Node's timers at the first mention of one, which costs a start some 5 ms. */
async function endAt(deadline: Date, stop: AbortController): Promise<Disposable> {
  const { at }: typeof import("../agent/deadline.ts") = await import("../agent/deadline.ts" as string);
  return at(deadline.getTime(), Date.now, () => {
    stop.abort(new XtaskError("timeout", "The command's deadline passed"));
  });
}

function printLog(shell: Shell, stream: "out" | "err", bytes: Uint8Array): void {
  shell.print(JSON.stringify({ type: "log", node: "local", stream, text: new TextDecoder().decode(bytes) }));
}

/** The executables that xtask brings along, where the capability runs one. */
export async function knownTools(
  shell: Shell,
  { tools = {} }: Pick<Capability, "tools">,
): Promise<Record<string, string>> {
  if (!("task" in tools)) return {};
  const { assetPath }: typeof import("./assets.ts") = await import("./assets.ts" as string);
  return { task: await assetPath(shell, "task") };
}
