/** `/api/v1/tasks` and `/api/v1/commands`: asking, and what can be done about what was asked. */
import { Hono } from "hono";
import * as v from "valibot";
import { isCapabilityName, loadCapability } from "../../capability/registry.ts";
import { XtaskError } from "../../protocol/error.ts";
import { CommandId } from "../../protocol/id.ts";
import { parse, parseJson } from "../../protocol/parse.ts";
import { CommandRecord } from "../../protocol/run.ts";
import { isTerminal, STATES } from "../../protocol/state.ts";
import { deadlineOf } from "../../words/placement.ts";
import { readWords } from "../../words/read_words.ts";
import { askFor, type Wish } from "../ask.ts";
import type { HttpContext, HttpEnv } from "../context.ts";

const Words = v.strictObject({ command: v.pipe(v.string(), v.maxLength(100_000)), project: v.optional(v.string()) });
const Structured = v.strictObject({
  capability: v.string(),
  verb: v.string(),
  input: v.optional(v.record(v.string(), v.unknown()), {}),
  /** A selector: `all`, an id, `os=linux,has=docker`. */
  target: v.string(),
  id: v.optional(CommandId),
  project: v.optional(v.string()),
});
const Listed = v.object({ commands: v.array(CommandRecord) });
const ListQuery = v.strictObject({
  limit: v.optional(
    v.pipe(v.string(), v.regex(/^\d{1,3}$/), v.transform(Number), v.minValue(1), v.maxValue(500)),
    "50",
  ),
  node: v.optional(v.string()),
  state: v.optional(v.picklist(STATES)),
  project: v.optional(v.string()),
});
const Outcomes = v.object({ id: CommandId, outcomes: v.record(v.string(), v.string()) });
const Again = v.strictObject({ all: v.optional(v.boolean()) });

/** Longer than the hub waits for the nodes. */
const CANCEL_MS = 20_000;

/** The routes, below `/api/v1`. */
export function commandRoutes(): Hono<HttpEnv> {
  return new Hono<HttpEnv>()
    .post("/tasks", async (context) => context.json(await askFor(context.get("fleet"), await wishOf(context)), 202))
    .get("/commands", async (context) => {
      const { project: _, ...query } = parse(ListQuery, context.req.query(), "query");
      return context.json(await context.get("fleet").hub("command", "list", query, Listed));
    })
    .get("/commands/:id", async (context) => context.json(await shown(context)))
    .post("/commands/:id/cancel", async (context) => {
      const id = idOf(context);
      return context.json(
        await context.get("fleet").hub("command", "cancel", { id }, Outcomes, { timeoutMs: CANCEL_MS }),
      );
    })
    .post("/commands/:id/retry", async (context) => {
      const text = await context.req.text();
      const { all = false } = text === "" ? {} : parseJson(Again, text, "body");
      return context.json(await askFor(context.get("fleet"), await wishAgain(await shown(context), all)), 202);
    });
}

async function wishOf(context: HttpContext): Promise<Wish> {
  const body = parseJson(v.union([Words, Structured]), await context.req.text(), "body");
  if (body.project !== undefined && body.project !== context.get("project")) {
    throw new XtaskError("not_found", `There is no project '${body.project.slice(0, 63)}' here`);
  }
  if ("command" in body) {
    const { placement, ...typed } = await readWords(body.command);
    const { on, any, id } = placement;
    return {
      ...typed,
      on,
      any,
      id: id === undefined ? undefined : parse(CommandId, id, "--id"),
      deadline: deadlineOf(placement),
    };
  }
  const { capability: name, verb, input, target, id } = body;
  return { capability: await capabilityOf(name), verb, input, on: target, id };
}

/** The same again, where it did not succeed; everywhere where it did, or where all are wanted. */
async function wishAgain({ capability, verb, input, runs }: CommandRecord, all: boolean): Promise<Wish> {
  const ended = Object.entries(runs).filter(([, { state }]) => isTerminal(state));
  const missed = ended.filter(([, { state }]) => state !== "succeeded");
  const nodes = (all || missed.length === 0 ? ended : missed).map(([node]) => node);
  if (nodes.length === 0) throw new XtaskError("conflict", "It still runs everywhere; cancel it first, or wait");
  if (input === undefined) {
    throw new XtaskError("not_found", "The input was too long to be kept", {
      details: ["ask for it as you did at first"],
    });
  }
  return { capability: await capabilityOf(capability), verb, input, on: `id=${nodes.join("|")}` };
}

async function capabilityOf(name: string) {
  if (isCapabilityName(name)) return await loadCapability(name);
  throw new XtaskError("not_found", `There is no capability '${name.slice(0, 63)}'`, {
    details: ["see /api/v1/capabilities"],
  });
}

async function shown(context: HttpContext): Promise<CommandRecord> {
  return await context.get("fleet").hub("command", "show", { id: idOf(context) }, CommandRecord);
}

function idOf(context: HttpContext): string {
  return parse(CommandId, context.req.param("id"), "command id");
}
