import { Validator } from "@seriousme/openapi-schema-validator";
import assert from "node:assert/strict";
import { CAPABILITY_NAMES, loadCapability } from "../../lib/capability/registry.ts";
import { openApiOf } from "../../lib/http/api/openapi.ts";
import { type AppOptions, createApp } from "../../lib/http/app.ts";
import { API, honoPath } from "../../lib/http/api/route.ts";
import { apiRoutes } from "../../lib/http/api/routes.ts";
import { openSessions } from "../../lib/http/session.ts";
import { ERROR_CODES } from "../../lib/protocol/error.ts";

await using sessions = await openSessions({ token: "t" });
const CAPABILITIES = await Promise.all(CAPABILITY_NAMES.map(loadCapability));
const ROUTES = apiRoutes(CAPABILITIES, sessions);
const DOCUMENT = openApiOf(ROUTES, { cookie: "xtask-8080", projects: ["default", "staging"] });

interface Operation {
  readonly operationId: string;
  readonly parameters: readonly { name: string; in: string; schema: Record<string, unknown>; required: boolean }[];
  readonly requestBody?: { required: boolean; content: Record<string, { schema: Record<string, unknown> }> };
  readonly responses: Readonly<Record<string, unknown>>;
  readonly security?: unknown;
}
const operationsOf = (document: { paths: object }): [string, Operation][] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods as Record<string, Operation>).map(([method, operation]): [string, Operation] => [
      `${method.toUpperCase()} ${path}`,
      operation,
    ])
  );
const OPERATIONS = new Map(operationsOf(DOCUMENT));

Deno.test("the document is valid OpenAPI 3.1, and every reference in it leads somewhere", async () => {
  const validator = new Validator();
  const { valid, errors } = await validator.validate(JSON.parse(JSON.stringify(DOCUMENT)));
  assert.deepEqual([valid, errors], [true, undefined]);
  assert.equal(validator.version, "3.1");
  const references = [...JSON.stringify(DOCUMENT).matchAll(/"\$ref":"#\/components\/(\w+)\/(\w+)"/g)];
  assert.ok(references.length > 100);
  for (const [, kind = "", name = ""] of references) {
    assert.ok(name in (DOCUMENT.components as Record<string, object>)[kind]!, `${kind}/${name}`);
  }
  assert.ok(!/"\$ref":"#\/\$defs|\$schema/.test(JSON.stringify(DOCUMENT)), "nothing refers to what stays behind");
});

Deno.test("what is served, the verbs of all capabilities and the document are the same set", async () => {
  // Nothing is asked of it but which routes it has, so it needs no fleet.
  const none = {} as Pick<AppOptions, "projects">;
  const app = await createApp({
    ...none,
    sessions,
    version: "0",
    unready: () => [],
    log: () => {},
  });
  const served = app.routes.filter(({ method, path }) => method !== "ALL" && path.startsWith(`${API}/`))
    .map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual([...new Set(served)], served, "nothing is served twice");
  const told = [...OPERATIONS.keys()].map((text) => honoPath(text));
  assert.deepEqual([...told].sort(), [...served].sort());
  const verbs = CAPABILITIES.flatMap(({ name, verbs }) => Object.keys(verbs).map((verb) => `${name}/${verb}`));
  const prefix = `POST ${API}/nodes/{node}/`;
  const ofVerbs = [...OPERATIONS.keys()].filter((key) => key.startsWith(prefix) && key.split("/").length === 7);
  assert.deepEqual(ofVerbs.map((key) => key.slice(prefix.length)).sort(), verbs.sort());
  const ids = [...OPERATIONS.values()].map(({ operationId }) => operationId);
  assert.equal(new Set(ids).size, ids.length, "a generated client has a name for each");
});

Deno.test("an operation tells what it takes, in words of JSON Schema, and every error by the table", () => {
  const check = OPERATIONS.get(`POST ${API}/nodes/{node}/which/check`)!;
  assert.deepEqual(check.requestBody?.content["application/json"]?.schema, {
    type: "object",
    properties: {
      names: {
        type: "array",
        items: { type: "string", minLength: 1, maxLength: 1_000 },
        minItems: 1,
        maxItems: 100,
        description: "Names looked for on PATH; one with a separator is taken as a path",
      },
    },
    required: ["names"],
    additionalProperties: false,
  });
  const limit = OPERATIONS.get(`GET ${API}/commands`)!.parameters.find(({ name }) => name === "limit");
  assert.deepEqual(limit, {
    name: "limit",
    in: "query",
    required: false,
    schema: { type: "integer", minimum: 1, maximum: 500, default: 50 },
  });
  for (const [name, { responses, parameters }] of OPERATIONS) {
    for (const [code, { http }] of Object.entries(ERROR_CODES)) {
      assert.deepEqual(responses[http], { $ref: `#/components/responses/${code}` }, name);
    }
    const inPath = [...name.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
    assert.deepEqual(parameters.at(-1), { $ref: "#/components/parameters/project" }, name);
    assert.deepEqual(parameters.filter((one) => one.in === "path").map((one) => one.name), inPath, name);
    assert.ok(Object.keys(responses).some((status) => status.startsWith("2")), name);
  }
  assert.deepEqual(OPERATIONS.get(`POST ${API}/login-links`)!.security, [{ token: [] }]);
});
