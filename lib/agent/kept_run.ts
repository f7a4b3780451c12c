/** Runs that outlive their agent, as the agent of the moment has them: how they are asked, start, and end. */
import type { Verb } from "../capability/define.ts";
import type { Host, Invocation, Outcome } from "../capability/host.ts";
import { XtaskError } from "../protocol/error.ts";
import type { Accepted } from "./journal.ts";
import type { Keeper, Kept, KeptEnd, Watching } from "./keeper.ts";
import type { Outbox } from "./outbox.ts";
import type { Command, Run } from "./run.ts";

/**
 * What the next agent must know of a command that is asked to outlive this one; nothing for others.
 *
 * @throws {XtaskError} `invalid` for one that cannot
 */
export function keptOf(
  { capability, verb, keep, deadline, lease }: Command,
  { keeper, node }: { readonly keeper?: Keeper | undefined; readonly node: string },
): Pick<Accepted, "kept"> {
  if (keep !== true) return {};
  const why = capability.verbs[verb]?.keep === undefined
    ? `${capability.name}.${verb} is not one process that could outlive the agent`
    : keeper === undefined
    ? `Node ${node} can keep no run: that takes a POSIX shell, and there is none`
    : lease !== undefined
    ? "A command that may move to another node ends with its lease, so its run cannot be kept"
    : undefined;
  if (why !== undefined) throw new XtaskError("invalid", why, { details: ["ask without --keep"] });
  const boot = keeper?.boot;
  return { kept: { ...(boot === undefined ? {} : { boot }), ...(deadline === undefined ? {} : { deadline }) } };
}

/** Starts the process: the capability's Worker tells which one it is. */
export async function startKept(
  { host, keeper }: { readonly host: Host; readonly keeper?: Keeper | undefined },
  asked: Invocation,
): Promise<Kept> {
  if (keeper === undefined) throw new TypeError(`Cannot keep ${asked.command} as there is no keeper`);
  const { data, error } = await host.invoke({ ...asked, tell: true });
  if (error !== undefined) throw XtaskError.fromWire(error);
  asked.signal.throwIfAborted();
  return await keeper.start(asked.capability, asked.command, data);
}

/** How it ended; undefined where it goes on and is left to the next agent. */
export async function keptOutcome(
  run: Run,
  { keep }: Verb,
  kept: Kept,
  outbox: Pick<Outbox, "secure">,
): Promise<Outcome | undefined> {
  const { output, leaving } = run;
  const { signal } = run.abort;
  const end = await watched(kept, {
    recall: (bytes) => output.recall(bytes),
    take: (bytes) => output.write("out", bytes),
    async flush() {
      await output.flush();
      await outbox.secure();
    },
    reported: () => output.safeBytes,
    signal,
    leaving: leaving.signal,
  });
  if (end === undefined) return undefined;
  const { exitCode, lost, endedAt } = end;
  await output.lose(lost);
  run.endedAt = endedAt;
  if (exitCode === undefined) {
    run.end("interrupted", new XtaskError("unavailable", "Its process was killed, or the machine that it ran on"));
  }
  const exit = exitCode === undefined ? {} : { exitCode };
  if (signal.aborted) return { error: XtaskError.from(signal.reason).toWire(), ...exit };
  return { data: keep?.output(exitCode as number), ...exit };
}

/** Watches it; where that fails, it is ended rather than left to itself. */
async function watched(kept: Kept, watching: Watching): Promise<KeptEnd | undefined> {
  try {
    return await kept.watch(watching);
  } catch (error) {
    await kept.end();
    throw error;
  }
}
