/** Login by a one-time link, logout, and links for those who have the token. */
import { Hono } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import type { CookieOptions } from "hono/utils/cookie";
import * as v from "valibot";
import { XtaskError } from "../protocol/error.ts";
import { Time } from "../protocol/time.ts";
import { type ApiRoute, route } from "./api/route.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { linkIsOver } from "./plain_page.ts";
import type { Sessions } from "./session.ts";

/** `GET /login?token=…`: exchanges the link for a cookie. */
export function loginRoutes(sessions: Sessions): Hono<HttpEnv> {
  return new Hono<HttpEnv>().get("/login", async (context) => {
    // What only looks ahead must not use the link up.
    const looksAhead = context.req.method !== "GET" || context.req.header("sec-purpose")?.includes("prefetch");
    const token = context.req.query("token");
    const session = looksAhead || token === undefined ? undefined : await sessions.login(token);
    if (session === undefined) return context.html(linkIsOver(), 401);
    setCookie(context, cookieName(context), session.secret, {
      ...cookieOptions(context),
      expires: new Date(session.expiresAt),
    });
    return context.redirect("/", 303);
  });
}

/** `POST /logout` */
export function logoutRoutes(sessions: Sessions): Hono<HttpEnv> {
  return new Hono<HttpEnv>().post("/logout", async (context) => {
    await sessions.logout(context.get("caller"));
    deleteCookie(context, cookieName(context), cookieOptions(context));
    return context.body(null, 204);
  });
}

/** `GET /api/v1/session`: whether somebody is let in, and how. */
export const SESSION_ROUTE: ApiRoute = route({
  method: "GET",
  path: "/session",
  name: "showSession",
  summary: "Whether you are let in, and by what",
  tag: "api",
  answer: v.object({ kind: v.picklist(["session", "token"]) }),
  answers: [{ status: 200, says: "You are" }],
  handle: (_given, context) => ({ kind: context.get("caller").kind }),
});

/** `POST /api/v1/login-links`, for those who have the token. */
export function linkRoute(sessions: Sessions): ApiRoute {
  return route({
    method: "POST",
    path: "/login-links",
    name: "makeLoginLink",
    summary: "A link that logs a browser in, once",
    tag: "api",
    tokenOnly: true,
    answer: v.object({ url: v.string(), expiresAt: Time }),
    answers: [{ status: 201, says: "The link" }],
    handle(_given, context) {
      // Whoever has a session could hand it on by this, and it would outlive its logout.
      if (context.get("caller").kind !== "token") {
        throw new XtaskError("forbidden", "A login link is for those who have the token", {
          details: ["type in a terminal: xtask ui --open"],
        });
      }
      const { secret, expiresAt } = sessions.invite();
      const url = loginLink(new URL(context.req.url).origin, secret);
      return { url, expiresAt: new Date(expiresAt).toISOString() };
    },
  });
}

/** The session's secret that a browser sent. */
export function cookieOf(context: HttpContext): string | undefined {
  return getCookie(context, cookieName(context));
}

/** The address of a login link, below the address that the server was called by. */
export function loginLink(base: string, secret: string): string {
  return new URL(`/login?token=${secret}`, base).href;
}

/** Cookies know no ports: two hubs on one machine would log each other's people out. */
export function cookieName(context: HttpContext): string {
  const { protocol, port } = new URL(context.req.url);
  return `${protocol === "https:" ? "__Host-" : ""}xtask-${port || "page"}`;
}

function cookieOptions(context: HttpContext): CookieOptions {
  const secure = new URL(context.req.url).protocol === "https:";
  return { httpOnly: true, secure, sameSite: "Lax", path: "/" };
}
