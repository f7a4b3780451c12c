/** `/api/v1/openapi.json`: the routes of the API as an OpenAPI document, made from the very table that serves them. */
import * as v from "valibot";
import { cookieName } from "../login.ts";
import { type ApiRoute, route } from "./route.ts";

/** The route that tells of the others, and of itself. */
export function documentRoute(others: readonly ApiRoute[]): ApiRoute {
  const own: ApiRoute = route({
    method: "GET",
    path: "/openapi.json",
    name: "showDocument",
    summary: "This document",
    tag: "api",
    answer: v.record(v.string(), v.unknown()),
    answers: [{ status: 200, says: "OpenAPI 3.1" }],
    async handle(_given, context) {
      // Only those who ask for it wait for the library that turns schemas into JSON Schema.
      const { openApiOf } = await import("./openapi.ts" as string) as typeof import("./openapi.ts");
      return openApiOf([...others, own], {
        cookie: cookieName(context),
        projects: context.get("projects").names,
      });
    },
  });
  return own;
}
