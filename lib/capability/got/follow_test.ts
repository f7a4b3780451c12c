import assert from "node:assert/strict";
import { createServer } from "node:net";
import { once } from "node:events";
import { admitHop, openUrl, REDIRECTS_MAX } from "./follow.ts";
import { isError, testGround } from "./ground_for_tests.ts";
import type { Reply } from "./hop.ts";
import { type Resolve, resolveBySystem, routeTo } from "./route.ts";
import { selfSigned } from "./self_signed_for_tests.ts";
import { downloadUrl, publicUrl } from "./url.ts";

function open(url: string, { resolve = resolveBySystem, idleMs = 10_000 } = {}): Promise<Reply> {
  return openUrl(new URL(url), { headers: {}, resolve, idleMs, signal: new AbortController().signal });
}

async function textOf(reply: Reply): Promise<string> {
  using _closed = reply;
  let text = "";
  for await (const chunk of reply.body) text += new TextDecoder().decode(chunk);
  return text;
}

const METADATA = [
  ..."169.254.169.254 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.43518 169.254.169.254. 0 0.0.0.0".split(" "),
  ..."[::ffff:169.254.169.254] [::a9fe:a9fe] [64:ff9b::169.254.169.254] [2002:a9fe:a9fe::] [fd00:ec2::254]".split(" "),
  ..."[fe80::1] [::] 100.100.100.200 192.0.0.192 224.0.0.1 metadata.google.internal METADATA.GOOGLE.INTERNAL.".split(
    " ",
  ),
];

Deno.test("a redirect to a metadata address is refused in every spelling, and so is the address itself", async () => {
  await using ground = await testGround();
  let location = "";
  const base = ground.serve(() => new Response(null, { status: 302, headers: { location } }));
  for (const host of METADATA) {
    location = `http://${host}/latest/meta-data/`;
    await assert.rejects(open(base), isError("forbidden"), location);
    await assert.rejects(open(location), isError("forbidden"), location);
  }
});

Deno.test("a name is refused if any of its addresses is, and the address checked is the one connected to", async () => {
  await using ground = await testGround();
  const port = new URL(ground.serve(() => new Response("hello"))).port;
  const asked: string[] = [];
  const resolve: Resolve = (hostname) => {
    asked.push(hostname);
    // The second answer is a trap, as in DNS rebinding: it must never be asked for.
    return Promise.resolve(asked.length === 1 ? ["127.0.0.1"] : ["169.254.169.254"]);
  };
  assert.equal(await textOf(await open(`http://rebind.example:${port}/`, { resolve })), "hello");
  assert.deepEqual(asked, ["rebind.example"]);
  const mixed: Resolve = () => Promise.resolve(["127.0.0.1", "::ffff:169.254.169.254"]);
  await assert.rejects(open(`http://mixed.example:${port}/`, { resolve: mixed }), isError("forbidden"));
  await assert.rejects(open("http://none.example/", { resolve: () => Promise.resolve([]) }), isError("unavailable"));
});

Deno.test("names of the hosts file and loopback can be reached", async () => {
  await using ground = await testGround();
  const { port } = new URL(ground.serve(() => new Response("hello")));
  assert.equal(await textOf(await open(`http://localhost:${port}/`)), "hello");
  assert.equal((await routeTo("[::1]", resolveBySystem)).internal, true);
});

Deno.test("redirects are followed, relative ones too, but not without end, into other schemes or with passwords", async () => {
  await using ground = await testGround();
  const base = ground.serve((request) => {
    const { pathname, searchParams } = new URL(request.url);
    const left = Number(searchParams.get("left"));
    const location = searchParams.get("to") ?? `${pathname}?left=${left - 1}`;
    return left === 0
      ? new Response("end")
      : new Response(null, { status: 307, headers: location === "" ? {} : { location } });
  });
  assert.equal(await textOf(await open(`${base}/a?left=${REDIRECTS_MAX}`)), "end");
  await assert.rejects(open(`${base}/a?left=${REDIRECTS_MAX + 1}`), isError("invalid", /redirects more than 5 times/));
  for (const to of ["file:///etc/passwd", "ftp://127.0.0.1/", "http://user:secret@127.0.0.1/", "http://", ""]) {
    await assert.rejects(open(`${base}/a?left=1&to=${encodeURIComponent(to)}`), isError("invalid"), to);
  }
});

Deno.test("a chain never leaves https, nor enters a private network from the internet", () => {
  const https = new URL("https://a.example/");
  const http = new URL("http://b.example/");
  const internal = { internal: true };
  const external = { internal: false };
  admitHop(undefined, { url: http, route: internal });
  admitHop({ url: http, wasPublic: false }, { url: https, route: internal });
  admitHop({ url: https, wasPublic: true }, { url: https, route: external });
  assert.throws(
    () => admitHop({ url: https, wasPublic: false }, { url: http, route: internal }),
    isError("forbidden", /from https/),
  );
  assert.throws(
    () => admitHop({ url: http, wasPublic: true }, { url: http, route: internal }),
    isError("forbidden", /private network/),
  );
});

Deno.test("a certificate that nobody trusts is refused", async () => {
  const { cert, key } = await selfSigned();
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, cert, key, onListen: () => {} },
    () => new Response("secret"),
  );
  for (const host of ["localhost", "127.0.0.1"]) {
    await assert.rejects(open(`https://${host}:${server.addr.port}/`), isError("forbidden", /certificate/), host);
  }
});

Deno.test("a server that is cut off, silent, or no server is unavailable", async () => {
  const answers: Record<string, string> = {
    "/length": "HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
    "/chunked": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "/both": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "/other": "SSH-2.0-OpenSSH\r\n",
    "/nothing": "",
  };
  const server = createServer((socket) => {
    socket.once("data", (head) => {
      const path = String(head).split(" ")[1] ?? "";
      if (path !== "/silent") socket.end(answers[path] ?? "");
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert(address !== null && typeof address === "object");
  const base = `http://127.0.0.1:${address.port}`;
  for (const path of Object.keys(answers)) {
    await assert.rejects(async () => await textOf(await open(base + path)), isError("unavailable"), path);
  }
  await assert.rejects(open(`${base}/silent`, { idleMs: 50 }), isError("timeout", /silent/));
  server.close();
  await once(server, "close");
  await assert.rejects(open(base), isError("unavailable", /ECONNREFUSED/));
});

Deno.test("a URL must be http or https without credentials, and a log shows no query", () => {
  for (
    const url of [
      "x",
      "//h/x",
      "ftp://h/",
      "file:///x",
      "data:,x",
      "http://u@h/",
      "http://u:p@h/",
      "https://:p@h/",
      "http://[::1%eth0]/",
    ]
  ) {
    assert.throws(() => downloadUrl(url), isError("invalid"), url);
  }
  assert.equal(publicUrl(downloadUrl("https://h/a?token=secret#x")), "https://h/a?…");
});
