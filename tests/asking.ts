/** What a test says to a fleet and hears of it, in few words. */
import assert from "node:assert/strict";
import type { Bus, Incoming } from "../lib/nats/bus.ts";
import { type ErrorCode, XtaskError } from "../lib/protocol/error.ts";
import { parseJson } from "../lib/protocol/parse.ts";
import { HEADER, isUnended, type Ongoing, Reply, type Result } from "../lib/protocol/run.ts";
import { commandSubject, resultSubject } from "../lib/protocol/subjects.ts";
import { until } from "./until.ts";

/** Control fields of a command. */
export interface AskOptions {
  readonly id?: string;
  readonly waitMs?: number;
  readonly deadline?: Date;
}

/** Asks a node for `capability.verb`; a refusal rejects. */
export async function ask(
  bus: Bus,
  node: string,
  name: `${string}.${string}`,
  input: unknown,
  { id, waitMs, deadline }: AskOptions = {},
): Promise<Reply> {
  const [capability = "", verb = ""] = name.split(".");
  const answer = await bus.request(commandSubject(node, capability, verb), JSON.stringify(input), {
    timeoutMs: (waitMs ?? 4_000) + 10_000,
    headers: {
      ...(id === undefined ? {} : { [HEADER.commandId]: id }),
      ...(waitMs === undefined ? {} : { [HEADER.wait]: String(waitMs) }),
      ...(deadline === undefined ? {} : { [HEADER.deadline]: deadline.toISOString() }),
    },
  });
  return parseJson(Reply, answer.text(), `answer of ${node}`);
}

/** The answer, which must be that the run goes on. */
export function ongoing(reply: Reply): Ongoing {
  assert.ok(isUnended(reply), `expected a run that goes on, not ${JSON.stringify(reply)}`);
  return reply;
}

/** The answer, which must be a result. */
export function ended(reply: Reply): Result {
  assert.ok("finishedAt" in reply, `expected a result, not ${JSON.stringify(reply)}`);
  return reply as Result;
}

/** The result of a command on a node, asked of the node until it is there. */
export async function resultOf(bus: Bus, node: string, id: string, timeoutMs = 20_000): Promise<Result> {
  return await until(`the result of ${id}`, async () => {
    const reply = await ask(bus, node, "run.status", { id });
    return "finishedAt" in reply ? reply as Result : undefined;
  }, { timeoutMs });
}

/** What is heard on a subject. */
export interface Heard extends Disposable {
  readonly messages: readonly Incoming[];
  /** The first message that `is` holds for, once it is there. */
  first(is?: (message: Incoming) => boolean, timeoutMs?: number): Promise<Incoming>;
}

/** Listens; resolves when the server knows of it. */
export async function hear(bus: Bus, subject: string): Promise<Heard> {
  const messages: Incoming[] = [];
  const subscription = bus.subscribe(subject, (message) => void messages.push(message));
  await bus.flush();
  return {
    messages,
    first: (is = () => true, timeoutMs = 15_000) =>
      until(`a message on ${subject}`, () => messages.find(is), { timeoutMs }),
    [Symbol.dispose]: () => subscription[Symbol.dispose](),
  };
}

/** Listens for the result of a command. */
export const hearResult = (bus: Bus, id: string): Promise<Heard> => hear(bus, resultSubject(id));

/** Asserts that a promise rejects with this code, and a message or detail that matches. */
export async function refused(promise: Promise<unknown>, code: ErrorCode, pattern = /./): Promise<XtaskError> {
  const outcome = await promise.then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
  assert.ok("error" in outcome, `expected '${code}', but it was taken`);
  const { error } = outcome;
  assert.ok(error instanceof XtaskError, String(error));
  assert.equal(error.code, code, error.message);
  assert.match([error.message, ...error.details].join("\n"), pattern);
  return error;
}

/**
 * A Taskfile whose task waits for the test: each run leaves its id in `runs`, goes on when there is a file `open`, and
 * leaves its id in `ends`. By printf, which writes a line at once: Task's echo writes its end apart, and two runs would mix.
 */
export const GATED = `
version: "3"
silent: true
tasks:
  gate:
    desc: Waits until the test opens the gate
    cmds:
      - printf '%s\\n' {{.XTASK_COMMAND_ID}} >> runs
      - echo waiting
      - while [ ! -e open ]; do sleep 0.05; done
      - echo through
      - printf '%s %s\\n' {{.XTASK_COMMAND_ID}} $(wc -l < runs) >> ends
`;

/** How often a gated task was started in a folder. */
export async function runsIn(dir: string): Promise<number> {
  const text = await Deno.readTextFile(`${dir}/runs`).catch(() => "");
  return text.split("\n").length - 1;
}
