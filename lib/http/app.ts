/** The HTTP application: who may ask what, and where it is answered. */
import { Hono } from "hono";
import type { ContentfulStatusCode } from "hono/utils/http-status";
import { CAPABILITY_NAMES, loadCapability } from "../capability/registry.ts";
import { ERROR_CODES, XtaskError } from "../protocol/error.ts";
import { API, type ApiRoute, mount, pathPattern } from "./api/route.ts";
import { apiRoutes } from "./api/routes.ts";
import { askForLogin, errorPage } from "./plain_page.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { bearerOf, boundedBody, headers, jsonOnly, knownHost, sameSite } from "./guard.ts";
import { type HealthOptions, healthRoutes } from "./health.ts";
import { cookieOf, loginRoutes, logoutRoutes } from "./login.ts";
import type { Projects } from "./projects.ts";
import type { Sessions } from "./session.ts";
import { createStreams } from "./streams.ts";

/** Options of {@linkcode createApp}. */
export interface AppOptions extends HealthOptions {
  /** What is served. They stay their owner's. */
  readonly projects: Projects;
  readonly sessions: Sessions;
  /** Names that this server is called by, beside addresses and `localhost`. */
  readonly names?: readonly string[];
  /** Served behind the guard: every route of these is for those who are logged in. */
  readonly pages?: Hono<HttpEnv>;
  /** Hears of errors that are ours. */
  readonly log: (message: string) => void;
}

/** Makes the application. */
export async function createApp(options: AppOptions): Promise<Hono<HttpEnv>> {
  const { projects, sessions, names = [], pages } = options;
  const streams = createStreams();
  const app = new Hono<HttpEnv>();
  app.onError((thrown, context) => {
    const error = XtaskError.from(thrown);
    if (error.code === "internal") options.log(`${context.req.method} ${context.req.path}: ${describe(error)}`);
    return answerError(context, error);
  });
  const api = apiRoutes(await Promise.all(CAPABILITY_NAMES.map(loadCapability)), sessions);
  app.notFound((context) => answerError(context, nothingHere(context.req.path, api)));
  app.use(headers(), knownHost(names), sameSite());
  app.route("/", healthRoutes(options));
  app.route("/", loginRoutes(sessions));
  app.use(async (context, next) => {
    const caller = callerOf(context, sessions);
    if (caller === undefined) {
      // The page would ask again for ever after any other answer, and it sees by this that nobody is logged in.
      if (isTab(context)) return context.body(null, 204);
      throw new XtaskError("unauthenticated", "Nobody is logged in here", {
        details: [
          "for a browser: xtask ui --open",
          "for a program: Authorization: Bearer $XTASK_TOKEN (see: xtask env)",
        ],
      });
    }
    const { project, fleet, model, logs } = projects.get(context.req.query("project"));
    context.set("caller", caller);
    context.set("streams", streams);
    context.set("projects", projects);
    context.set("project", project);
    context.set("fleet", fleet);
    context.set("model", model);
    context.set("logs", logs);
    await next();
  });
  app.use(jsonOnly(), boundedBody());
  app.route("/", logoutRoutes(sessions));
  app.route(API, mount(api));
  if (pages !== undefined) app.route("/", pages);
  return app;
}

/** Whether it is a page that opens its event stream, rather than a program or a person. */
function isTab({ req }: HttpContext): boolean {
  return req.path === "/events" && req.header("datastar-request") !== undefined;
}

/** A token that is sent counts, even where it is wrong: a cookie then does not help. */
function callerOf(context: HttpContext, sessions: Sessions) {
  const authorization = context.req.header("authorization");
  if (authorization !== undefined) {
    const bearer = bearerOf(authorization);
    return bearer === undefined ? undefined : sessions.ofToken(bearer);
  }
  const cookie = cookieOf(context);
  return cookie === undefined ? undefined : sessions.ofCookie(cookie);
}

/** The answer that an error is: JSON for programs, a page for those who look. */
function answerError(context: HttpContext, error: XtaskError): Response | Promise<Response> {
  const status = ERROR_CODES[error.code].http as ContentfulStatusCode;
  const isProgram = context.req.path.startsWith("/api/") || !context.req.header("accept")?.includes("text/html");
  if (isProgram) return context.json({ error: error.toWire() }, status);
  return context.html(error.code === "unauthenticated" ? askForLogin() : errorPage(error), status);
}

function nothingHere(path: string, api: readonly ApiRoute[]): XtaskError {
  const details: string[] = [];
  if (path.startsWith(`${API}/`)) {
    const there = api.find((route) => pathPattern(route).test(path.slice(API.length)));
    details.push(there === undefined ? `what there is: ${API}/openapi.json` : `it is asked by ${there.method}`);
  }
  return new XtaskError("not_found", `There is nothing at ${path.slice(0, 200)}`, { details });
}

function describe({ message, cause }: XtaskError): string {
  return cause instanceof Error ? cause.stack ?? cause.message : message;
}
