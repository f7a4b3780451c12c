/** What OpenAPI 3.1 says of routes. Pure: the table in, the document out. */
import { type ConversionConfig, type JsonSchema, toJsonSchema } from "@valibot/to-json-schema";
import * as v from "valibot";
import { ERROR_CODES, type ErrorCode, WireError } from "../../protocol/error.ts";
import { Event } from "../../protocol/event.ts";
import { NodeRecord } from "../../protocol/node.ts";
import { CommandRecord, Result } from "../../protocol/run.ts";
import { VERSION } from "../../protocol/version.ts";
import { Taken } from "../ask.ts";
import { type Answered, API, type ApiRoute, type Tag } from "./route.ts";

/** Schemas that the document names. */
const NAMED = {
  Node: NodeRecord,
  Command: CommandRecord,
  Result,
  Taken,
  Event,
  Error: WireError,
  Failure: v.object({ error: WireError }),
} as const satisfies Record<string, v.GenericSchema>;

const TAGS: Readonly<Record<Tag, string>> = {
  nodes: "The machines of the fleet",
  commands: "What is asked of them, and what comes of it",
  capabilities: "What they can do: a route for each verb",
  events: "What happens",
  alerts: "What a person should know",
  team: "The people of a project",
  api: "The API itself",
};

const MEANINGS: Readonly<Record<ErrorCode, string>> = {
  invalid: "What was sent is not valid; details say where, and what was expected there",
  unauthenticated: "Neither a session nor the token came along",
  forbidden: "It may not be asked by this caller, or not from there",
  not_found: "There is none",
  conflict: "It does not go with how things stand",
  exhausted: "A limit is reached; try again later",
  cancelled: "The caller went away",
  internal: "A mistake of xtask itself; its log says more",
  unavailable: "The hub or the node cannot be reached; try again later",
  timeout: "No answer came in time",
};

/** What a server's own settings add to the routes. */
export interface Surroundings {
  /** The name of the session's cookie. */
  readonly cookie: string;
  /** The projects that are served; the first one is meant where none is named. */
  readonly projects: readonly string[];
}

/** The document of these routes. */
export function openApiOf(routes: readonly ApiRoute[], { cookie, projects }: Surroundings) {
  const paths: Record<string, Record<string, unknown>> = {};
  for (const one of routes) {
    const path = paths[`${API}${one.path}`] ??= {};
    path[one.method.toLowerCase()] = operationOf(one);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "xtask",
      version: VERSION,
      summary: "Every machine of a team runs the team's tasks",
      description: "Programs send the token; what a browser sends to change something needs an Origin of the same " +
        "site. Errors have a code, of which there are ten.",
      license: { name: "MIT", identifier: "MIT" },
    },
    servers: [{ url: "/" }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    security: [{ token: [] }, { session: [] }],
    paths,
    components: {
      securitySchemes: {
        token: { type: "http", scheme: "bearer", description: "XTASK_TOKEN, as xtask env tells" },
        session: { type: "apiKey", in: "cookie", name: cookie, description: "A browser that a login link let in" },
      },
      parameters: {
        project: {
          name: "project",
          in: "query",
          required: false,
          description: "The project that is meant",
          schema: { type: "string", enum: projects, default: projects[0] },
        },
      },
      responses: Object.fromEntries(codes().map((code) => [code, errorResponse(code)])),
      schemas: Object.fromEntries(Object.entries(NAMED).map(([name, schema]) => [name, jsonSchema(schema, name)])),
    },
  };
}

const codes = () => Object.keys(ERROR_CODES) as ErrorCode[];

function errorResponse(code: ErrorCode) {
  const schema = { $ref: "#/components/schemas/Failure" };
  return { description: MEANINGS[code], content: { "application/json": { schema } } };
}

function operationOf({ name, summary, description, tag, params, query, body, answers, tokenOnly }: ApiRoute) {
  return {
    operationId: name,
    summary,
    ...(description === undefined ? {} : { description }),
    tags: [tag],
    parameters: [
      ...parametersOf(params, "path"),
      ...parametersOf(query, "query"),
      { $ref: "#/components/parameters/project" },
    ],
    ...(body === undefined ? {} : { requestBody: requestOf(body) }),
    responses: {
      ...Object.fromEntries(answers.map((answered) => [answered.status, responseOf(answered)])),
      ...Object.fromEntries(
        codes().map((code) => [ERROR_CODES[code].http, { $ref: `#/components/responses/${code}` }]),
      ),
    },
    ...(tokenOnly ? { security: [{ token: [] }] } : {}),
  };
}

function parametersOf(entries: v.ObjectEntries, where: "path" | "query") {
  // What is in an address is text, and told by what is read out of it.
  const { properties = {}, required = [] } = jsonSchema(v.strictObject(entries), undefined, "output");
  return Object.entries(properties).map(([name, property]) => {
    const { description, default: otherwise, ...schema } = property as JsonSchema;
    const number = schema.type === "integer" && typeof otherwise === "string";
    return {
      name,
      in: where,
      required: required.includes(name),
      ...(description === undefined ? {} : { description }),
      schema: { ...schema, ...(otherwise === undefined ? {} : { default: number ? Number(otherwise) : otherwise }) },
    };
  });
}

function requestOf(body: v.GenericSchema) {
  // One that may be empty is read as `{}`.
  return { required: !v.is(body, {}), content: { "application/json": { schema: jsonSchema(body) } } };
}

function responseOf({ says, schema, media = [] }: Answered) {
  const json = schema === undefined ? {} : { "application/json": { schema: jsonSchema(schema, undefined, "output") } };
  const others = Object.fromEntries(media.map((type) => [type, { schema: { type: "string" } }]));
  return { description: says, content: { ...json, ...others } };
}

/** @param name Its own among the named ones, which are told in full; elsewhere they are referred to */
function jsonSchema(
  schema: v.GenericSchema,
  name?: string,
  typeMode: NonNullable<ConversionConfig["typeMode"]> = "input",
): JsonSchema {
  const { [name as keyof typeof NAMED]: _, ...definitions } = NAMED;
  const { $schema: _schema, $defs: _defs, ...found } = toJsonSchema(schema, {
    target: "draft-2020-12",
    typeMode,
    // A check that JSON Schema has no words for is told by the error of whoever fails it.
    errorMode: "ignore",
    definitions,
    overrideRef: ({ referenceId }) => `#/components/schemas/${referenceId}`,
  });
  return found;
}
