/** `/api/v1/tasks` and `/api/v1/commands`: asking, and what can be done about what was asked. */
import * as v from "valibot";
import { isCapabilityName, loadCapability } from "../../capability/registry.ts";
import { XtaskError } from "../../protocol/error.ts";
import { CommandId, Id } from "../../protocol/id.ts";
import { parse } from "../../protocol/parse.ts";
import { CancelReply, CommandRecord } from "../../protocol/run.ts";
import { stateOf } from "../../protocol/move.ts";
import { isTerminal, STATES } from "../../protocol/state.ts";
import { deadlineOf } from "../../words/placement.ts";
import { readWords } from "../../words/read_words.ts";
import { askFor, Taken, type Wish } from "../ask.ts";
import type { HttpContext } from "../context.ts";
import { type ApiRoute, route, whole } from "./route.ts";
import { answeredStatus, WAIT } from "./wait.ts";

const Words = v.strictObject({
  command: v.pipe(v.string(), v.maxLength(100_000), v.description("What would be typed after xtask")),
  project: v.optional(v.string()),
});
const Structured = v.strictObject({
  capability: v.string(),
  verb: v.string(),
  input: v.optional(v.record(v.string(), v.unknown()), {}),
  target: v.pipe(v.string(), v.description("A selector: all, an id, or terms such as os=linux,has=docker")),
  id: v.optional(v.pipe(CommandId, v.description("The same id runs once, however often it is asked"))),
  any: v.optional(v.pipe(v.boolean(), v.description("Only on the best node of those that are selected"))),
  queue: v.optional(v.pipe(v.boolean(), v.description("Leave it at the hub for nodes that are away"))),
  keep: v.optional(v.pipe(v.boolean(), v.description("Let it outlive the node's agent"))),
  move: v.optional(v.pipe(v.boolean(), v.description("With any: on another node where that one is lost"))),
  project: v.optional(v.string()),
});
const Asked = v.union([Words, Structured]);
const Listed = v.object({ commands: v.array(CommandRecord) });
const Outcomes = v.object({ id: CommandId, outcomes: v.record(v.string(), CancelReply.entries.outcome) });
const Again = v.strictObject({
  all: v.optional(v.pipe(v.boolean(), v.description("Also on nodes where it succeeded"))),
});

/** Longer than the hub waits for the nodes. */
const CANCEL_MS = 20_000;
const params = { id: CommandId };

/** The routes. */
export const COMMAND_ROUTES: readonly ApiRoute[] = [
  route({
    method: "POST",
    path: "/tasks",
    name: "ask",
    summary: "Ask a command of nodes",
    tag: "commands",
    query: WAIT,
    body: Asked,
    answer: Taken,
    answers: [
      { status: 202, says: "Nodes have taken it" },
      { status: 200, says: "It has ended everywhere within the wait", schema: Taken },
    ],
    async handle({ query: { wait }, body }, context) {
      const { fleet } = context.get("projects").get(body.project ?? context.get("project"));
      const taken = await askFor(fleet, { ...await wishOf(body), waitMs: wait });
      return context.json(taken, answeredStatus(taken));
    },
  }),
  route({
    method: "GET",
    path: "/commands",
    name: "listCommands",
    summary: "The newest commands",
    tag: "commands",
    query: {
      limit: v.optional(whole({ min: 1, max: 500 }), "50"),
      node: v.optional(Id),
      state: v.optional(v.picklist(STATES)),
    },
    answer: Listed,
    answers: [{ status: 200, says: "The commands, newest first" }],
    handle: ({ query: { limit, node, state } }, context) =>
      context.get("fleet").hub("command", "list", { limit, node, state }, Listed),
  }),
  route({
    method: "GET",
    path: "/commands/{id}",
    name: "showCommand",
    summary: "One command, and what is known of its runs",
    tag: "commands",
    params,
    answer: CommandRecord,
    answers: [{ status: 200, says: "The command's record" }],
    handle: ({ params: { id } }, context) => shown(context, id),
  }),
  route({
    method: "POST",
    path: "/commands/{id}/cancel",
    name: "cancelCommand",
    summary: "End a command wherever it runs",
    tag: "commands",
    params,
    answer: Outcomes,
    answers: [{ status: 200, says: "What came of it on each node" }],
    handle: ({ params: { id } }, context) =>
      context.get("fleet").hub("command", "cancel", { id }, Outcomes, { timeoutMs: CANCEL_MS }),
  }),
  route({
    method: "POST",
    path: "/commands/{id}/retry",
    name: "retryCommand",
    summary: "Ask the same again where it did not succeed, or everywhere where it did",
    tag: "commands",
    params,
    body: Again,
    answer: Taken,
    answers: [{ status: 202, says: "Nodes have taken it, as a new command" }],
    handle: async ({ params: { id }, body: { all = false } }, context) =>
      await askFor(context.get("fleet"), await wishAgain(await shown(context, id), all)),
  }),
];

async function wishOf(body: v.InferOutput<typeof Asked>): Promise<Wish> {
  if ("command" in body) {
    const { placement, ...typed } = await readWords(body.command);
    const { on, any, move, id } = placement;
    return {
      ...typed,
      on,
      any,
      move,
      id: id === undefined ? undefined : parse(CommandId, id, "--id"),
      deadline: deadlineOf(placement),
      queue: placement.queue,
      keep: placement.keep,
    };
  }
  const { capability: name, verb, input, target, any = false, id, queue, keep, move } = body;
  const where = { ...(any ? { any: target } : { on: target }), queue, keep, move };
  return { capability: await capabilityOf(name), verb, input, id, ...where };
}

/** The same again, where it did not succeed; everywhere where it did, or where all are wanted. */
async function wishAgain({ capability, verb, input, runs, move }: CommandRecord, all: boolean): Promise<Wish> {
  const again = move === undefined ? { on: againOn(runs, all) } : { any: move.any, move: true };
  if (move !== undefined && !isTerminal(stateOf({ move, runs }))) throw goesOn();
  if (input === undefined) {
    throw new XtaskError("not_found", "The input was too long to be kept", {
      details: ["ask for it as you did at first"],
    });
  }
  return { capability: await capabilityOf(capability), verb, input, ...again };
}

function againOn(runs: CommandRecord["runs"], all: boolean): string {
  const ended = Object.entries(runs).filter(([, { state }]) => isTerminal(state));
  const missed = ended.filter(([, { state }]) => state !== "succeeded");
  const nodes = (all || missed.length === 0 ? ended : missed).map(([node]) => node);
  if (nodes.length === 0) throw goesOn();
  return `id=${nodes.join("|")}`;
}

const goesOn = () => new XtaskError("conflict", "It still runs everywhere; cancel it first, or wait");

async function capabilityOf(name: string) {
  if (isCapabilityName(name)) return await loadCapability(name);
  throw new XtaskError("not_found", `There is no capability '${name.slice(0, 63)}'`, {
    details: ["see /api/v1/capabilities"],
  });
}

async function shown(context: HttpContext, id: string): Promise<CommandRecord> {
  return await context.get("fleet").hub("command", "show", { id }, CommandRecord);
}
