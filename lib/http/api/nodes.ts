/** `/api/v1/nodes`: who is there. */
import * as v from "valibot";
import { XtaskError } from "../../protocol/error.ts";
import { Id } from "../../protocol/id.ts";
import { NodeRecord } from "../../protocol/node.ts";
import { type ApiRoute, route } from "./route.ts";

const params = { node: Id };

/** The routes. */
export const NODE_ROUTES: readonly ApiRoute[] = [
  route({
    method: "GET",
    path: "/nodes",
    name: "listNodes",
    summary: "The nodes that a selector means, those that are away included",
    tag: "nodes",
    query: {
      select: v.optional(
        v.pipe(v.string(), v.description("A selector: all, an id, or terms such as os=linux,has=docker")),
        "all",
      ),
    },
    answer: v.object({ nodes: v.array(NodeRecord) }),
    answers: [{ status: 200, says: "The nodes, by id" }],
    handle: async ({ query: { select } }, context) => ({ nodes: await context.get("fleet").nodes(select) }),
  }),
  route({
    method: "GET",
    path: "/nodes/{node}",
    name: "showNode",
    summary: "One node",
    tag: "nodes",
    params,
    answer: NodeRecord,
    answers: [{ status: 200, says: "The node's record" }],
    async handle({ params: { node: id } }, context) {
      const [node] = await context.get("fleet").nodes(id);
      if (node !== undefined) return node;
      throw new XtaskError("not_found", `There is no node '${id}'`, { details: ["see /api/v1/nodes"] });
    },
  }),
];
