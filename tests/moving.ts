/** A task that shows where and when it runs, for commands that may move. */
import assert from "node:assert/strict";
import type { Agent } from "../lib/agent/agent.ts";
import type { Fleet } from "../lib/client/fleet.ts";
import { stateOf } from "../lib/protocol/move.ts";
import { Submitted } from "../lib/protocol/moving.ts";
import { CommandRecord } from "../lib/protocol/run.ts";
import type { TestFleet } from "./fleet.ts";
import { until } from "./until.ts";

/**
 * A Taskfile whose task writes node, attempt and time into `beats` of a folder, many times a second, until there is a file
 * `open`. That of `stubborn` does not end when it is told to.
 */
export function beating(folder: string): string {
  return `
version: "3"
silent: true
tasks:
  beat: sh -c '${loop(folder)}'
  stubborn: sh -c 'trap "" TERM; ${loop(folder)}'
`;
}

const loop = (folder: string) =>
  `while [ ! -e ${folder}/open ]; do echo $XTASK_NODE $XTASK_ATTEMPT $(date +%s%N) >> ${folder}/beats; sleep 0.02; done; ` +
  "echo done by $XTASK_NODE, attempt $XTASK_ATTEMPT";

/** When an attempt ran, in ms since 1970. */
export interface Ran {
  readonly node: string;
  readonly attempt: number;
  readonly first: number;
  readonly last: number;
}

/** All attempts so far, in the order they began. */
export async function attemptsIn(folder: string): Promise<Ran[]> {
  const text = await Deno.readTextFile(`${folder}/beats`).catch(() => "");
  const found = new Map<string, Ran>();
  // The last line may be half written.
  for (const line of text.split("\n").slice(0, -1)) {
    const [node = "", attempt = "", at = ""] = line.split(" ");
    const ms = Number(at) / 1e6;
    const known = found.get(attempt);
    found.set(attempt, { node, attempt: Number(attempt), first: known?.first ?? ms, last: ms });
  }
  return [...found.values()];
}

/** Resolves when this attempt runs. */
export function running(folder: string, attempt: number, timeoutMs = 30_000): Promise<Ran> {
  return until(
    `attempt ${attempt} to run`,
    async () => (await attemptsIn(folder)).find((ran) => ran.attempt === attempt),
    { timeoutMs },
  );
}

/** Asserts that no two attempts ran at once. */
export function assertApart(attempts: readonly Ran[]): void {
  for (const [index, ran] of attempts.entries()) {
    const next = attempts[index + 1];
    if (next === undefined) return;
    assert.ok(ran.last < next.first, `attempt ${ran.attempt} on ${ran.node} ran on after ${next.attempt} had begun`);
  }
}

/** Lets all runs end. */
export const letEnd = (folder: string): Promise<void> => Deno.writeTextFile(`${folder}/open`, "");

/** Submits a task that may move. */
export function submit(
  fleet: Fleet,
  task: string,
  more: { id?: string; any?: string; deadline?: Date } = {},
): Promise<Submitted> {
  const { any = "all", deadline, ...rest } = more;
  const asked = { any, move: true, capability: "task", verb: "run", input: { args: [task] }, ...rest };
  return fleet.hub(
    "command",
    "submit",
    { ...asked, ...(deadline && { deadline: deadline.toISOString() }) },
    Submitted,
  );
}

/** What the hub knows of a command. */
export const recordOf = (fleet: Fleet, id: string): Promise<CommandRecord> =>
  fleet.hub("command", "show", { id }, CommandRecord);

/** Resolves to the record once the command is in this state. */
export function inState(fleet: Fleet, id: string, state: string, timeoutMs = 30_000): Promise<CommandRecord> {
  return until(`${id} to be ${state}`, async () => {
    const record = await recordOf(fleet, id);
    return stateOf(record) === state ? record : undefined;
  }, { timeoutMs });
}

/** Stops an agent in order; what runs there is handed back at once. */
export async function handBack(all: TestFleet, node: string): Promise<void> {
  const { agent } = all.node(node);
  if ("drain" in agent) await (agent as Agent).drain(AbortSignal.abort());
  await agent[Symbol.asyncDispose]();
}
