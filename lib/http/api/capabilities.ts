/** `/api/v1/capabilities`, and a route for every verb of every capability, derived from its definition. */
import * as v from "valibot";
import type { Capability, Verb } from "../../capability/define.ts";
import { fieldsOf } from "../../capability/fields.ts";
import { Id } from "../../protocol/id.ts";
import { Result } from "../../protocol/run.ts";
import { askFor, Taken } from "../ask.ts";
import { type ApiRoute, route } from "./route.ts";
import { answeredStatus, WAIT } from "./wait.ts";

const Listed = v.object({
  capabilities: v.array(v.object({
    name: v.string(),
    summary: v.string(),
    verbs: v.array(v.object({
      name: v.string(),
      summary: v.string(),
      effect: v.picklist(["read", "change"]),
      input: v.array(v.object({
        name: v.string(),
        kind: v.picklist(["text", "number", "boolean", "list", "map"]),
        required: v.boolean(),
        description: v.string(),
        choices: v.optional(v.array(v.string())),
        default: v.optional(v.unknown()),
      })),
    })),
  })),
});

/** What nodes can do, and asking them to. */
export function capabilityRoutes(capabilities: readonly Capability[]): ApiRoute[] {
  const listed = capabilities.map(({ name, summary, verbs }) => ({
    name,
    summary,
    verbs: Object.entries(verbs).map(([verb, { summary, effect, input }]) => ({
      name: verb,
      summary,
      effect,
      input: fieldsOf(input).map(({ choices, ...field }) => ({
        ...field,
        ...(choices === undefined ? {} : { choices: [...choices] }),
      })),
    })),
  }));
  return [
    route({
      method: "GET",
      path: "/capabilities",
      name: "listCapabilities",
      summary: "What nodes can do, with the fields that each verb takes",
      tag: "capabilities",
      answer: Listed,
      answers: [{ status: 200, says: "The capabilities" }],
      handle: () => ({ capabilities: listed }),
    }),
    ...capabilities.flatMap((capability) =>
      Object.entries(capability.verbs).map(([verb, definition]) => verbRoute(capability, verb, definition))
    ),
  ];
}

function verbRoute(capability: Capability, verb: string, { summary, effect, input, output }: Verb): ApiRoute {
  const { name } = capability;
  const Ended = v.intersect([Result, v.object({ data: v.optional(output) })]);
  const answer = v.object({ ...Taken.entries, results: v.optional(v.array(Ended)) });
  const asked = route({
    method: "POST",
    path: `/nodes/{node}/${name}/${verb}`,
    name: nameOf(name, verb),
    summary,
    description: effect === "read"
      ? "It changes nothing. Where it ends within the wait, the answer is all that is kept of it."
      : "It is started at most once.",
    tag: "capabilities",
    params: { node: Id },
    query: WAIT,
    body: v.record(v.string(), v.unknown()),
    answer,
    answers: [
      { status: 202, says: "The node has taken it" },
      { status: 200, says: "It has ended within the wait", schema: answer },
    ],
    async handle({ params: { node }, query: { wait }, body }, context) {
      const taken = await askFor(context.get("fleet"), { capability, verb, input: body, on: node, waitMs: wait });
      return context.json(taken, answeredStatus(taken));
    },
  });
  // `askFor` reads the body by this schema, and passes it on as it was sent.
  return { ...asked, body: input };
}

/** `kill-port`, `kill`: `killPortKill`. */
function nameOf(capability: string, verb: string): string {
  return `${capability}-${verb}`.replaceAll(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}
