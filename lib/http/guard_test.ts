import { Hono, type MiddlewareHandler } from "hono";
import assert from "node:assert/strict";
import { ERROR_CODES, XtaskError } from "../protocol/error.ts";
import { HTTP_BODY_BYTES_MAX } from "../protocol/limits.ts";
import type { HttpEnv } from "./context.ts";
import { bearerOf, boundedBody, headers, jsonOnly, knownHost, sameSite } from "./guard.ts";

/** Answers with the status that a request gets behind a guard. */
function behind(guard: MiddlewareHandler<HttpEnv>) {
  const app = new Hono<HttpEnv>();
  app.onError((error, context) => context.body(null, ERROR_CODES[XtaskError.from(error).code].http as 400));
  app.use(guard);
  app.all("*", async (context) => context.text(await context.req.text()));
  return async (init: RequestInit = {}, url = "http://127.0.0.1:8080/") => (await app.request(url, init)).status;
}

Deno.test("a request must name this server, however its name is written", async () => {
  const status = behind(knownHost(["hub.example"]));
  const known = [
    ...["127.0.0.1", "127.0.0.1:8080", "10.1.2.3:1", "[::1]:8080", "[fe80::1]", "localhost", "localhost:1"],
    ...["LOCALHOST:8080", "a.localhost", "localhost.", "hub.example", "HUB.example:443", "hub.example."],
  ];
  for (const host of known) assert.equal(await status({ headers: { host } }), 200, host);
  const foreign = [
    ...[
      "evil.example",
      "hub.example.evil.example",
      "evilhub.example",
      "localhost.evil.example",
      "127.0.0.1.evil.example",
    ],
    ...["notlocalhost", "hub.example@evil.example", "evil.example/hub.example", "evil.example#hub.example", "a b", ":"],
  ];
  for (const host of foreign) assert.equal(await status({ headers: { host } }), 403, host);
  // Without a Host header, as over HTTP/2, the URL tells.
  assert.equal(await status({}, "https://hub.example/"), 200);
  assert.equal(await status({}, "https://evil.example/"), 403);
});

Deno.test("what another site sends is refused, by every sign that a browser gives", async () => {
  const status = behind(sameSite());
  const host = "hub.example:8080";
  const own = `http://${host}`;
  const rows: [number, string, Record<string, string>][] = [
    [200, "GET", {}],
    [200, "GET", { "sec-fetch-site": "same-origin" }],
    [200, "GET", { "sec-fetch-site": "none", "sec-fetch-mode": "navigate" }],
    [200, "GET", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate" }],
    [403, "GET", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" }],
    [403, "GET", { "sec-fetch-site": "same-site", "sec-fetch-mode": "cors" }],
    [403, "HEAD", { "sec-fetch-site": "cross-site" }],
    [200, "POST", { "sec-fetch-site": "same-origin", origin: own }],
    [200, "POST", { origin: own }],
    [200, "POST", { "sec-fetch-site": "none" }],
    [403, "POST", {}],
    [403, "POST", { authorization: "Bearer " }],
    [200, "POST", { authorization: "Bearer abc" }],
    [403, "POST", { authorization: "Bearer abc", origin: "https://evil.example" }],
    [403, "POST", { "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", origin: own }],
    [403, "POST", { origin: "null" }],
    [403, "POST", { origin: "" }],
    [403, "POST", { origin: "http://hub.example" }],
    [403, "POST", { origin: `${own}.evil.example` }],
    [403, "DELETE", { origin: "http://evil.example:8080" }],
    [400, "TRACEROUTE", {}],
    [400, "OPTIONS", { origin: own }],
  ];
  for (const [expected, method, headers] of rows) {
    const got = await status({ method, headers: { host, ...headers } }, `${own}/`);
    assert.equal(got, expected, `${method} ${JSON.stringify(headers)}`);
  }
});

Deno.test("a body is JSON", async () => {
  const status = behind(jsonOnly());
  const post = (type: string | undefined, body: BodyInit | null) =>
    status({ method: "POST", body, headers: type === undefined ? {} : { "content-type": type } });
  for (const type of ["application/json", "application/json; charset=utf-8", "Application/JSON"]) {
    assert.equal(await post(type, "{}"), 200, type);
  }
  for (
    const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "text/plain;application/json",
      "application/jsonx",
    ]
  ) {
    assert.equal(await post(type, "{}"), 400, type);
  }
  assert.equal(await post(undefined, new Uint8Array([123, 125])), 400);
  assert.equal(await post(undefined, null), 200, "nothing is not something else");
});

Deno.test("a body is bounded, whether or not it says how long it is", async () => {
  const status = behind(boundedBody());
  const text = (length: number) => "x".repeat(length);
  const flow = (length: number) => new Blob([text(length)]).stream();
  const post = (body: BodyInit, more: Record<string, string> = {}) => status({ method: "POST", body, headers: more });
  for (const make of [text, flow]) {
    assert.equal(await post(make(HTTP_BODY_BYTES_MAX)), 200);
    assert.equal(await post(make(HTTP_BODY_BYTES_MAX + 1)), 400);
  }
  const lies = { "content-length": "2", "transfer-encoding": "chunked" };
  assert.equal(await post(flow(HTTP_BODY_BYTES_MAX + 1), lies), 400);
});

Deno.test("only a whole bearer header holds a token", () => {
  assert.equal(bearerOf("Bearer abc.d-e_f~g+h/i=="), "abc.d-e_f~g+h/i==");
  assert.equal(bearerOf("bearer  abc"), "abc");
  for (
    const other of [
      undefined,
      "",
      "Bearer",
      "Bearer ",
      "Basic abc",
      "xBearer abc",
      "Bearer a b",
      "Bearer a,b",
      "Bearer ==",
    ]
  ) {
    assert.equal(bearerOf(other), undefined, String(other));
  }
});

Deno.test("every answer says what a browser may do with it, and each page has a nonce of its own", async () => {
  const app = new Hono<HttpEnv>();
  app.use(headers());
  app.get("/page", (context) => context.html(context.get("nonce")));
  app.get("/api", (context) => context.json({}));
  app.get("/kept", (context) => context.body("x", 200, { "cache-control": "private, max-age=1" }));
  const [first, second, api, kept, nothing] = await Promise.all(
    ["/page", "/page", "/api", "/kept", "/nothing"].map((path) => app.request(path)),
  );
  const policy = (answer: Response) => answer.headers.get("content-security-policy") ?? "";
  const [one, other] = [await first!.text(), await second!.text()];
  assert.match(one, /^[\w-]{24}$/);
  assert.notEqual(one, other);
  assert.ok(policy(first!).includes(`script-src 'nonce-${one}' 'strict-dynamic'`));
  for (const answer of [api!, kept!, nothing!]) {
    assert.equal(policy(answer), "default-src 'none'; frame-ancestors 'none'");
    assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  }
  const cached = [first!, api!, kept!].map((answer) => answer.headers.get("cache-control"));
  assert.deepEqual(cached, ["no-store", "no-store", "private, max-age=1"]);
});
