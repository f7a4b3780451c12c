/** `/api/v1/nodes` and `/api/v1/capabilities`: who is there, what they can do, and asking one of them. */
import { Hono } from "hono";
import * as v from "valibot";
import type { Verb } from "../../capability/define.ts";
import { fieldsOf } from "../../capability/fields.ts";
import { CAPABILITY_NAMES, isCapabilityName, loadCapability } from "../../capability/registry.ts";
import { XtaskError } from "../../protocol/error.ts";
import { isId } from "../../protocol/id.ts";
import { parseJson } from "../../protocol/parse.ts";
import { askFor } from "../ask.ts";
import type { HttpContext, HttpEnv } from "../context.ts";

const Input = v.record(v.string(), v.unknown());

/** The routes, below `/api/v1`. */
export function nodeRoutes(): Hono<HttpEnv> {
  return new Hono<HttpEnv>()
    .get("/nodes", async (context) => {
      return context.json({ nodes: await context.get("fleet").nodes(context.req.query("select") ?? "all") });
    })
    .get("/nodes/:node", async (context) => {
      const id = nodeOf(context);
      const [node] = await context.get("fleet").nodes(id);
      if (node === undefined) {
        throw new XtaskError("not_found", `There is no node '${id}'`, { details: ["see /api/v1/nodes"] });
      }
      return context.json(node);
    })
    .post("/nodes/:node/:capability/:verb", async (context) => {
      const { capability: name, verb } = context.req.param();
      if (!isCapabilityName(name)) {
        throw new XtaskError("not_found", `There is no capability '${name.slice(0, 63)}'`, {
          details: [`there are ${CAPABILITY_NAMES.join(", ")}`],
        });
      }
      const text = await context.req.text();
      const input = text === "" ? {} : parseJson(Input, text, "body");
      const wish = { capability: await loadCapability(name), verb, input, on: nodeOf(context) };
      return context.json(await askFor(context.get("fleet"), wish), 202);
    })
    .get("/capabilities", async (context) => {
      const all = await Promise.all(CAPABILITY_NAMES.map(loadCapability));
      return context.json({
        capabilities: all.map(({ name, summary, verbs }) => ({
          name,
          summary,
          verbs: Object.entries(verbs).map(([verb, definition]) => verbText(verb, definition)),
        })),
      });
    });
}

function verbText(name: string, { summary, effect, input }: Verb) {
  return { name, summary, effect, input: fieldsOf(input) };
}

function nodeOf(context: HttpContext): string {
  const id = context.req.param("node") ?? "";
  if (isId(id)) return id;
  throw new XtaskError("invalid", `'${id.slice(0, 63)}' cannot be the id of a node`);
}
