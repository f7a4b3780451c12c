/**
 * What every request must pass: it was sent to this server's name and not to a foreign one that resolves here (DNS
 * rebinding), it was not sent by another site in the name of whoever is logged in, and its body is JSON of a bounded size.
 */
import { bodyLimit } from "hono/body-limit";
import { randomBytes } from "node:crypto";
import type { MiddlewareHandler } from "hono";
import { PLAIN_STYLE_SOURCE } from "./plain_page.ts";
import { XtaskError } from "../protocol/error.ts";
import { HTTP_BODY_BYTES_MAX } from "../protocol/limits.ts";
import type { HttpContext, HttpEnv } from "./context.ts";

const SAFE_METHODS = ["GET", "HEAD"];
const UNSAFE_METHODS = ["POST", "PUT", "PATCH", "DELETE"];

/** Puts the security headers on every response; `nonce` is the one of its scripts. */
export function headers(): MiddlewareHandler<HttpEnv> {
  return async (context, next) => {
    const nonce = randomBytes(18).toString("base64url");
    context.set("nonce", nonce);
    await next();
    const { headers } = context.res;
    const html = headers.get("content-type")?.startsWith("text/html") ?? false;
    headers.set("content-security-policy", html ? pagePolicy(nonce) : "default-src 'none'; frame-ancestors 'none'");
    headers.set("x-content-type-options", "nosniff");
    headers.set("referrer-policy", "same-origin");
    headers.set("cross-origin-opener-policy", "same-origin");
    headers.set("cross-origin-resource-policy", "same-origin");
    // What is shown is a fleet's secret; only files that never change may say otherwise.
    if (!headers.has("cache-control")) headers.set("cache-control", "no-store");
  };
}

/** Datastar evaluates the page's attributes by scripts with the nonce, so nothing needs `unsafe-eval`. */
function pagePolicy(nonce: string): string {
  return [
    "default-src 'none'",
    `script-src 'nonce-${nonce}' 'strict-dynamic'`,
    `style-src 'self' ${PLAIN_STYLE_SOURCE}`,
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types datastar xtask",
  ].join("; ");
}

/** Refuses what was sent to another name than one of these. An address needs no name server, so it cannot be rebound. */
export function knownHost(names: readonly string[]): MiddlewareHandler<HttpEnv> {
  return async (context, next) => {
    const host = hostOf(authorityOf(context));
    if (host === undefined || !(isAddress(host) || isLocalName(host) || names.includes(host))) {
      throw new XtaskError("forbidden", "This server is not known by the name that you called it", {
        details: [
          "use the address that xtask up printed",
          "or let it be known by this name: xtask up --http-name NAME",
        ],
      });
    }
    await next();
  };
}

/** Name and port that a request was sent to. HTTP/2 has no Host header; what stands for it is in the URL. */
function authorityOf({ req }: HttpContext): string {
  return req.header("host") ?? new URL(req.url).host;
}

/** The name of an authority, in lower case, without port and brackets; undefined where there is none. */
function hostOf(authority: string): string | undefined {
  const url = /[/?#@\\\s]/.test(authority) ? null : URL.parse(`http://${authority}`);
  return url?.hostname.replace(/\.$/, "").replace(/^\[(.*)\]$/, "$1") || undefined;
}

const isAddress = (host: string) => host.includes(":") || /^\d+(\.\d+){3}$/.test(host);
const isLocalName = (host: string) => host === "localhost" || host.endsWith(".localhost");

/**
 * Refuses what a browser sent for another site. Whoever is no browser says none of this, and then needs the bearer token
 * to change anything: a cookie alone may have been sent along unasked.
 */
export function sameSite(): MiddlewareHandler<HttpEnv> {
  return async (context, next) => {
    const { method } = context.req;
    if (!SAFE_METHODS.includes(method) && !UNSAFE_METHODS.includes(method)) {
      throw new XtaskError("invalid", `The method ${method.slice(0, 20)} is not served`);
    }
    const site = context.req.header("sec-fetch-site");
    const origin = context.req.header("origin");
    const safe = SAFE_METHODS.includes(method);
    // Following a link from elsewhere is fine; having another site's script read or open a stream is not.
    const navigates = safe && context.req.header("sec-fetch-mode") === "navigate";
    if (!navigates && site !== undefined && site !== "same-origin" && site !== "none") throw crossSite();
    if (!safe && origin !== undefined && URL.parse(origin)?.host !== authorityOf(context)) throw crossSite();
    if (!safe && site === undefined && origin === undefined && !hasBearer(context.req.header("authorization"))) {
      throw new XtaskError("forbidden", "A request that changes something needs a browser's Origin, or the token", {
        details: ["programs send: Authorization: Bearer $XTASK_TOKEN  (see: xtask env)"],
      });
    }
    await next();
  };
}

function crossSite(): XtaskError {
  return new XtaskError("forbidden", "This request was sent by another site", {
    details: ["open the page of xtask itself, or send the token from a program"],
  });
}

/** The token of an Authorization header. */
export function bearerOf(header: string | undefined): string | undefined {
  return /^bearer +([\w.~+/-]+=*)$/i.exec(header ?? "")?.[1];
}

const hasBearer = (header: string | undefined) => bearerOf(header) !== undefined;

/** Refuses bodies that are no JSON: forms and plain text are what other sites can send without asking. */
export function jsonOnly(): MiddlewareHandler<HttpEnv> {
  return async (context, next) => {
    const empty = context.req.raw.body === null || context.req.header("content-length") === "0";
    if (!empty && !SAFE_METHODS.includes(context.req.method)) {
      const type = context.req.header("content-type")?.split(";")[0]?.trim().toLowerCase();
      if (type !== "application/json") {
        throw new XtaskError("invalid", "A body must be JSON", { details: ["send: Content-Type: application/json"] });
      }
    }
    await next();
  };
}

/** Refuses bodies that are too long, without reading them. */
export function boundedBody(): MiddlewareHandler {
  return bodyLimit({
    maxSize: HTTP_BODY_BYTES_MAX,
    onError: () => {
      throw new XtaskError("invalid", `A body may have ${HTTP_BODY_BYTES_MAX} bytes at most`);
    },
  });
}
