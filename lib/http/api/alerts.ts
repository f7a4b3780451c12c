/** `/api/v1/alerts`: what a person should know; acknowledged and muted. */
import * as v from "valibot";
import { AlertByKey, AlertMute, AlertRecord } from "../../protocol/alert.ts";
import type { HttpContext } from "../context.ts";
import { type ApiRoute, route } from "./route.ts";

const Listed = v.object({ alerts: v.array(AlertRecord) });
const params = AlertByKey.entries;
const answers = [{ status: 200, says: "The alert as it stands now" }] as const;

const change = (context: HttpContext, verb: string, input: object) =>
  context.get("fleet").hub("alert", verb, input, AlertRecord);

/** The routes. */
export const ALERT_ROUTES: readonly ApiRoute[] = [
  route({
    method: "GET",
    path: "/alerts",
    name: "listAlerts",
    summary: "What a person should know",
    tag: "alerts",
    query: {
      all: v.optional(v.pipe(v.picklist(["0", "1"]), v.description("1 for those that are over as well")), "0"),
    },
    answer: Listed,
    answers: [{ status: 200, says: "The alerts, newest first" }],
    handle: ({ query: { all } }, context) => context.get("fleet").hub("alert", "list", { all: all === "1" }, Listed),
  }),
  route({
    method: "POST",
    path: "/alerts/{key}/ack",
    name: "acknowledgeAlert",
    summary: "Say that somebody has seen it",
    tag: "alerts",
    params,
    answer: AlertRecord,
    answers,
    handle: ({ params }, context) => change(context, "ack", params),
  }),
  route({
    method: "POST",
    path: "/alerts/{key}/mute",
    name: "muteAlert",
    summary: "Tell nobody of it for a while, however often it comes: for a day, unless it is said",
    tag: "alerts",
    params,
    body: v.strictObject({ forMs: AlertMute.entries.forMs }),
    answer: AlertRecord,
    answers,
    handle: ({ params, body }, context) => change(context, "mute", { ...params, ...body }),
  }),
  route({
    method: "POST",
    path: "/alerts/{key}/unmute",
    name: "unmuteAlert",
    summary: "Let it be told again",
    tag: "alerts",
    params,
    answer: AlertRecord,
    answers,
    handle: ({ params }, context) => change(context, "unmute", params),
  }),
];
