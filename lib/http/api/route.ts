/** A route of the API as one value: where it answers, what it takes, what it says. Hono's routes and the document derive from it. */
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import * as v from "valibot";
import { parse, parseJson } from "../../protocol/parse.ts";
import type { HttpContext, HttpEnv } from "../context.ts";

/** What stands before the path of each route. */
export const API = "/api/v1";

/** What a route answers with when all went well. */
export interface Answered {
  readonly status: ContentfulStatusCode;
  /** One line for people, without a period. */
  readonly says: string;
  /** Of JSON; without one the body is something else. */
  readonly schema?: v.GenericSchema;
  /** Types other than JSON that it may have. */
  readonly media?: readonly string[];
}

/** A route, below `/api/v1`. */
export interface ApiRoute {
  readonly method: "GET" | "POST";
  /** With `{name}` where something varies. */
  readonly path: `/${string}`;
  /** Its name for generated clients. */
  readonly name: string;
  /** One line for people, without a period. */
  readonly summary: string;
  /** What else there is to know. */
  readonly description?: string;
  /** What it belongs to. */
  readonly tag: Tag;
  readonly params: v.ObjectEntries;
  readonly query: v.ObjectEntries;
  /** Of a JSON body. An empty one is `{}`. */
  readonly body?: v.GenericSchema;
  readonly answers: readonly Answered[];
  /** Only whoever has the token may ask; a session may not. @default {false} */
  readonly tokenOnly?: boolean;
  handle(context: HttpContext): Promise<Response>;
}

/** What routes belong to. */
export type Tag = "nodes" | "commands" | "capabilities" | "events" | "alerts" | "team" | "api";

/** What a route was given, by its schemas. */
interface Given<P extends v.ObjectEntries, Q extends v.ObjectEntries, B extends v.GenericSchema> {
  readonly params: v.InferOutput<v.ObjectSchema<P, undefined>>;
  readonly query: v.InferOutput<v.StrictObjectSchema<Q, undefined>>;
  readonly body: v.InferOutput<B>;
}

type Definition<
  P extends v.ObjectEntries,
  Q extends v.ObjectEntries,
  B extends v.GenericSchema,
  A extends v.GenericSchema,
> = Omit<ApiRoute, "handle" | "answers" | "params" | "query" | "body"> & {
  readonly params?: P;
  readonly query?: Q;
  readonly body?: B;
  /** Of the first of the answers. */
  readonly answer?: A;
  readonly answers: readonly [Omit<Answered, "schema">, ...Answered[]];
  /** Does it; what it resolves to is sent as JSON with the first answer's status, a response as it is. */
  readonly handle: (
    given: Given<P, Q, B>,
    context: HttpContext,
  ) => Promise<v.InferInput<A> | Response> | v.InferInput<A> | Response;
};

/** Every request may name the project; the guard has read it. */
const PROJECT = { project: v.optional(v.string()) };

/** A route whose handler is given what its schemas read. */
export function route<
  P extends v.ObjectEntries = Record<never, never>,
  Q extends v.ObjectEntries = Record<never, never>,
  B extends v.GenericSchema = v.NeverSchema<undefined>,
  A extends v.GenericSchema = v.NeverSchema<undefined>,
>(definition: Definition<P, Q, B, A>): ApiRoute {
  const { answer, answers: [first, ...more], handle, ...rest } = definition;
  const params = definition.params ?? {};
  const query = definition.query ?? {};
  const Params = v.object(params);
  const Query = v.strictObject({ ...query, ...PROJECT });
  return {
    ...rest,
    params,
    query,
    answers: [{ ...first, ...(answer === undefined ? {} : { schema: answer }) }, ...more],
    async handle(context) {
      const { body } = definition;
      const text = body === undefined ? "" : await context.req.text();
      // The schemas are the ones that the types are inferred from; what they read is what the types say.
      const given = {
        params: parse(Params, context.req.param(), "address"),
        query: parse(Query, context.req.query(), "query"),
        body: body === undefined ? undefined : parseJson(body, text === "" ? "{}" : text, "body"),
      } as unknown as Given<P, Q, B>;
      const answered = await handle(given, context);
      return answered instanceof Response ? answered : context.json(answered, first.status);
    },
  };
}

/** The routes as Hono serves them. */
export function mount(routes: readonly ApiRoute[]): Hono<HttpEnv> {
  const app = new Hono<HttpEnv>();
  for (const one of routes) app.on(one.method, honoPath(one.path), (context) => one.handle(context));
  return app;
}

/** `/nodes/{node}` as Hono writes it: `/nodes/:node`. */
export function honoPath(path: string): string {
  return path.replaceAll(/\{(\w+)\}/g, ":$1");
}

/** The paths that a route answers. */
export function pathPattern({ path }: ApiRoute): RegExp {
  return new RegExp(`^${path.split(/\{\w+\}/).map((part) => RegExp.escape(part)).join("[^/]+")}$`);
}

/** A whole number in an address. */
export function whole({ min, max }: { readonly min: number; readonly max: number }) {
  return v.pipe(
    v.string(),
    v.regex(/^\d{1,15}$/, "expected a whole number"),
    v.transform(Number),
    v.number(),
    v.integer(),
    v.minValue(min, `expected at least ${min}`),
    v.maxValue(max, `expected at most ${max}`),
  );
}
