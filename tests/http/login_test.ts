import assert from "node:assert/strict";
import { startFleet } from "../fleet.ts";

/** A request as a browser sends it when somebody follows a link, and as its scripts do. */
const NAVIGATES = { "sec-fetch-site": "none", "sec-fetch-mode": "navigate", accept: "text/html" };
const FETCHES = { "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "content-type": "application/json" };

Deno.test("nobody is let in but by a link that works once, or by the token", async (t) => {
  await using fleet = await startFleet({ nodes: [] });
  const { http, token } = fleet.up;
  const { origin } = new URL(http.url);
  const ask = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(`${http.url}${path}`, { redirect: "manual", ...init });
    return { status: answer.status, headers: answer.headers, text: await answer.text() };
  };
  const login = async () => {
    const { pathname, search } = new URL(http.loginLink());
    const { headers, status } = await ask(pathname + search, { headers: NAVIGATES });
    assert.equal(status, 303);
    return headers.get("set-cookie")?.split(";")[0] ?? "";
  };

  await t.step("without either there is nothing but health and how to log in", async () => {
    for (
      const path of ["/", "/nodes/n1", "/events?view=%2F", "/static/app.css", "/console?words=", "/api/v1/commands"]
    ) {
      assert.equal((await ask(path)).status, 401, path);
    }
    assert.equal((await ask("/healthz")).status, 200);
    const page = await ask("/", { headers: NAVIGATES });
    assert.match(page.text, /xtask ui/);
    assert.ok(!/<script/i.test(page.text));
  });

  await t.step("a link works once; looking ahead does not use it up", async () => {
    const { pathname, search } = new URL(http.loginLink());
    assert.equal((await ask(pathname + search, { headers: { ...NAVIGATES, "sec-purpose": "prefetch" } })).status, 401);
    const { status, headers } = await ask(pathname + search, { headers: NAVIGATES });
    assert.equal(status, 303);
    assert.match(headers.get("set-cookie") ?? "", /HttpOnly; SameSite=Lax/);
    assert.equal((await ask(pathname + search, { headers: NAVIGATES })).status, 401);
    assert.equal((await ask("/login?token=guess", { headers: NAVIGATES })).status, 401);
  });

  await t.step("a session sees the page under a strict policy, until it logs out", async () => {
    const cookie = await login();
    const page = await ask("/", { headers: { ...NAVIGATES, cookie } });
    assert.equal(page.status, 200);
    const policy = page.headers.get("content-security-policy") ?? "";
    assert.match(policy, /script-src 'nonce-[\w-]+' 'strict-dynamic';/);
    assert.match(policy, /frame-ancestors 'none'; require-trusted-types-for 'script'/);
    assert.ok(!/unsafe/.test(policy));
    const out = await ask("/logout", { method: "POST", headers: { ...FETCHES, cookie, origin } });
    assert.equal(out.status, 204);
    assert.equal((await ask("/", { headers: { ...NAVIGATES, cookie } })).status, 401);
    assert.equal((await ask("/api/v1/session", { headers: { ...FETCHES, cookie } })).status, 401);
    const tab = { ...FETCHES, "datastar-request": "true" };
    assert.equal(
      (await ask("/events?view=fleet", { headers: { ...tab, cookie } })).status,
      204,
      "its tabs ask no more",
    );
    assert.equal((await ask("/events?view=fleet", { headers: tab })).text, "", "and nobody else learns anything");
  });

  await t.step("the token gets a link for somebody else; a session does not", async () => {
    const link = (headers: HeadersInit) => ask("/api/v1/login-links", { method: "POST", headers });
    const { status, text } = await link({ authorization: `Bearer ${token}` });
    assert.equal(status, 201);
    const { url } = JSON.parse(text);
    assert.equal(
      await fetch(url, { redirect: "manual", headers: NAVIGATES }).then(async (one) => (await one.text(), one.status)),
      303,
    );
    assert.equal((await link({ ...FETCHES, cookie: await login(), origin })).status, 403);
    for (const wrong of [token.slice(1), `${token}x`, "a"]) {
      assert.equal((await link({ authorization: `Bearer ${wrong}` })).status, 401, wrong);
    }
  });

  await t.step("what another site sends is refused, whatever the browser sends along", async () => {
    const cookie = await login();
    const post = (headers: HeadersInit, body: BodyInit = "{}") =>
      ask("/api/v1/tasks", { method: "POST", headers, body });
    const rows: [string, HeadersInit, BodyInit?][] = [
      ["cross-site", { ...FETCHES, cookie, "sec-fetch-site": "cross-site", origin: "https://evil.example" }],
      ["another port of this machine", { ...FETCHES, cookie, "sec-fetch-site": "same-site", origin }],
      ["a foreign origin alone", { "content-type": "application/json", cookie, origin: "https://evil.example" }],
      ["no word of where from", { "content-type": "application/json", cookie }],
      ["an origin that is none", { "content-type": "application/json", cookie, origin: "null" }],
    ];
    for (const [what, headers, body] of rows) assert.equal((await post(headers, body)).status, 403, what);
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
      assert.equal((await post({ ...FETCHES, "content-type": type, cookie, origin })).status, 400, type);
    }
    assert.equal(
      (await ask("/events?view=%2F", {
        headers: { cookie, "sec-fetch-site": "cross-site", "sec-fetch-mode": "cors" },
      })).status,
      403,
    );
    const right = await post({ ...FETCHES, cookie, origin }, JSON.stringify({ command: "up" }));
    assert.equal(right.status, 400, "and what the page itself sends is read");
  });

  await t.step("other projects, and what would be more than one, are refused", async () => {
    const headers = { authorization: `Bearer ${token}` };
    assert.equal((await ask("/api/v1/commands?project=default", { headers })).status, 200);
    for (const project of ["*", ">", "a.b", "", "A", "other"]) {
      const { status } = await ask(`/api/v1/commands?project=${encodeURIComponent(project)}`, { headers });
      assert.ok([400, 404].includes(status), `${project}: ${status}`);
    }
  });

  await t.step("a body that is too long is refused", async () => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const body = JSON.stringify({ command: "x".repeat(12 * 1024 * 1024) });
    assert.equal((await ask("/api/v1/tasks", { method: "POST", headers, body })).status, 400);
  });
});

Deno.test("a name that resolves here and is not this server's is refused", async () => {
  await using fleet = await startFleet({ nodes: [] });
  const { hostname, port } = new URL(fleet.up.http.url);
  const statusFor = async (host: string) => {
    using connection = await Deno.connect({ hostname, port: Number(port) });
    await connection.write(
      new TextEncoder().encode(`GET /healthz HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`),
    );
    const answer = await new Response(connection.readable).text();
    return Number(answer.split(" ")[1]);
  };
  for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example", "localhost.evil.example"]) {
    assert.equal(await statusFor(host), 403, host);
  }
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `[::1]:${port}`]) {
    assert.equal(await statusFor(host), 200, host);
  }
});
