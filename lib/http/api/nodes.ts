/** `/api/v1/nodes`: who is there, and changing one of them. */
import * as v from "valibot";
import { controlNode } from "../../client/control.ts";
import { XtaskError } from "../../protocol/error.ts";
import { Id } from "../../protocol/id.ts";
import { LabelChanges, NodeRecord } from "../../protocol/node.ts";
import { ScheduleInput, ScheduleQuery } from "../../protocol/schedule.ts";
import { type ApiRoute, route } from "./route.ts";

const params = { node: Id };
const CHANGED = { status: 200, says: "The node's record as it is now" } as const;

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
  route({
    method: "POST",
    path: "/nodes/{node}/label",
    name: "labelNode",
    summary: "Set labels of a node, or take them away with null",
    tag: "nodes",
    params,
    body: LabelChanges,
    answer: NodeRecord,
    answers: [CHANGED],
    handle: ({ params: { node }, body }, context) =>
      controlNode(context.get("fleet"), node, { verb: "label", input: body }),
  }),
  route({
    method: "POST",
    path: "/nodes/{node}/drain",
    name: "drainNode",
    summary: "Let a node finish what it runs and take nothing new",
    tag: "nodes",
    params,
    answer: NodeRecord,
    answers: [CHANGED],
    handle: ({ params: { node } }, context) => controlNode(context.get("fleet"), node, { verb: "drain" }),
  }),
  route({
    method: "POST",
    path: "/nodes/{node}/resume",
    name: "resumeNode",
    summary: "Let a drained node take commands again",
    tag: "nodes",
    params,
    answer: NodeRecord,
    answers: [CHANGED],
    handle: ({ params: { node } }, context) => controlNode(context.get("fleet"), node, { verb: "resume" }),
  }),
  route({
    method: "POST",
    path: "/nodes/{node}/schedule",
    name: "schedule",
    summary: "Let a node give itself a command at times of the clock, also while it is cut off",
    tag: "nodes",
    params,
    body: ScheduleInput,
    answer: NodeRecord,
    answers: [CHANGED],
    handle: ({ params: { node }, body }, context) =>
      controlNode(context.get("fleet"), node, { verb: "schedule", input: body }),
  }),
  route({
    method: "POST",
    path: "/nodes/{node}/unschedule",
    name: "unschedule",
    summary: "Take a schedule from a node",
    tag: "nodes",
    params,
    body: ScheduleQuery,
    answer: NodeRecord,
    answers: [CHANGED],
    handle: ({ params: { node }, body }, context) =>
      controlNode(context.get("fleet"), node, { verb: "unschedule", input: body }),
  }),
];
