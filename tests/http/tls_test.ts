import assert from "node:assert/strict";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, type IncomingHttpHeaders } from "node:http2";
import { connectFleet } from "../../lib/client/fleet.ts";
import { type Page, startPage } from "../../lib/system.ts";
import { pageScript } from "../../scripts/assets.ts";
import { type Certificates, makeCertificates, OPENSSL } from "../certificates.ts";
import { startFleet, type TestFleet } from "../fleet.ts";
import { xtask } from "../xtask_process.ts";

/** A request on a connection; resolves with the headers of its answer. */
async function ask(
  client: ClientHttp2Session,
  path: string,
  headers: Record<string, string>,
): Promise<{ stream: ClientHttp2Stream; headers: IncomingHttpHeaders & { ":status"?: number } }> {
  const stream = client.request({ ":path": path, ...headers });
  const { promise, resolve, reject } = Promise.withResolvers<IncomingHttpHeaders & { ":status"?: number }>();
  stream.on("response", resolve);
  stream.on("error", reject);
  stream.end();
  return { stream, headers: await promise };
}

/** The first text that comes. */
async function firstOf(stream: ClientHttp2Stream): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  stream.once("data", (chunk: Uint8Array) => resolve(new TextDecoder().decode(chunk)));
  stream.once("error", reject);
  return await promise;
}

/** The page of a fleet, called localhost. */
async function startTlsPage({ up, url }: TestFleet, { server }: Certificates): Promise<Page> {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(await connectFleet({ servers: url, creds: up.adminCreds }));
  const { http, token } = stack.use(
    await startPage({
      projects: [{ project: "default", fleet }],
      host: "127.0.0.1",
      port: 0,
      names: ["localhost"],
      tls: { cert: await Deno.readTextFile(server.cert), key: await Deno.readTextFile(server.key) },
      datastar: await Deno.readTextFile(await pageScript()),
      unready: () => [],
      log: () => {},
    }),
  );
  const owned = stack.move();
  return { http, token, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}

Deno.test({
  name: "over TLS one connection holds more streams than a browser has connections",
  ignore: !OPENSSL,
  async fn() {
    await using certificates = await makeCertificates();
    await using fleet = await startFleet({ nodes: ["n1"] });
    await using page = await startTlsPage(fleet, certificates);
    assert.match(page.http.url, /^https:\/\/localhost:\d+$/);
    const client = connect(page.http.url, { ca: certificates.ca });
    try {
      const { pathname, search } = new URL(page.http.loginLink());
      const navigates = { "sec-fetch-site": "none", "sec-fetch-mode": "navigate", accept: "text/html" };
      const login = await ask(client, pathname + search, navigates);
      assert.equal(login.headers[":status"], 303);
      assert.equal(client.alpnProtocol, "h2");
      const [set = ""] = login.headers["set-cookie"] ?? [];
      assert.match(set, /^__Host-xtask-\d+=[\w-]+;.*HttpOnly; Secure; SameSite=Lax/);
      const fetches = { cookie: set.split(";")[0] ?? "", "sec-fetch-site": "same-origin", "sec-fetch-mode": "cors" };

      const open = await Promise.all(
        Array.from({ length: 7 }, () => ask(client, "/events?view=/&project=default", fetches)),
      );
      const first = await Promise.all(open.map(({ stream }) => firstOf(stream)));
      for (const text of first) assert.match(text, /^event: datastar-patch-elements\n/);
      const eighth = await ask(client, "/", { ...fetches, ...navigates });
      assert.equal(eighth.headers[":status"], 200);
      assert.match(await firstOf(eighth.stream), /<!DOCTYPE html>/);
      assert.ok(open.every(({ stream }) => !stream.destroyed), "the seven are still open");

      const statusOf = async (path: string, headers: Record<string, string>) =>
        (await ask(client, path, headers)).headers[":status"];
      assert.equal(await statusOf("/healthz", { ":authority": "evil.example" }), 403, "a foreign name");
      const post = { ...fetches, ":method": "POST", "content-type": "application/json" };
      assert.equal(await statusOf("/logout", { ...post, origin: "https://evil.example" }), 403);
      assert.equal(await statusOf("/logout", { ...post, origin: page.http.url }), 204);
    } finally {
      client.destroy();
    }
  },
});

Deno.test({
  name: "a certificate that is not trusted is told, rather than another page served",
  ignore: !OPENSSL,
  async fn() {
    await using certificates = await makeCertificates();
    await using fleet = await startFleet({ nodes: [] });
    await using page = await startTlsPage(fleet, certificates);
    const creds = `${fleet.folder}/admin.creds`;
    await Deno.writeTextFile(creds, fleet.up.adminCreds, { mode: 0o600 });
    const known = {
      XTASK_NATS_URL: fleet.url,
      XTASK_NATS_CREDS: creds,
      XTASK_HTTP_URL: page.http.url,
      XTASK_TOKEN: page.token,
    };
    const ui = (env: Record<string, string>) =>
      xtask(["ui", "--json"], { home: fleet.folder, env: { ...known, ...env } });
    const strange = await ui({});
    assert.deepEqual([strange.code, strange.stdout], [75, ""]);
    assert.match(
      strange.stderr,
      /The certificate of https:\/\/localhost:\d+ is not trusted here\n {2}UnknownIssuer\n.*DENO_CERT/,
    );
    const trusted = await ui({ DENO_CERT: certificates.caFile });
    assert.equal(trusted.code, 0, trusted.stderr);
    assert.ok(JSON.parse(trusted.stdout).url.startsWith(`${page.http.url}/login?token=`));
  },
});
