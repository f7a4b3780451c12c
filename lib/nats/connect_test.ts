import assert from "node:assert/strict";
import { until } from "../../tests/until.ts";
import { startTestServer } from "../../tests/nats_server.ts";
import { connect, type NatsConnection } from "./connect.ts";

Deno.test("where no server is the error says so", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await assert.rejects(connect({ servers: `nats://127.0.0.1:${port}` }), {
    name: "XtaskError",
    code: "unavailable",
    message: `No NATS server answers at 127.0.0.1:${port}; is the hub up?`,
  });
});

Deno.test("a name that does not resolve is unavailable", async () => {
  await assert.rejects(connect({ servers: "nats://no-such-host.invalid", timeoutMs: 60_000 }), { code: "unavailable" });
});

Deno.test("the second address is tried when nobody answers at the first", async () => {
  await using server = await startTestServer();
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await using connection = await connect({ servers: [`nats://127.0.0.1:${port}`, server.url], reconnect: false });
  assert.equal(connection.getServer(), `127.0.0.1:${server.port}`);
});

Deno.test("a server that says nothing is a timeout", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepted = listener.accept();
  const servers = `nats://127.0.0.1:${listener.addr.port}`;
  await assert.rejects(connect({ servers, timeoutMs: 100 }), { code: "timeout" });
  (await accepted).close();
});

Deno.test("aborting while the server says nothing ends the attempt", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const abort = new AbortController();
  const attempt = connect({ servers: `nats://127.0.0.1:${listener.addr.port}`, signal: abort.signal });
  using peer = await listener.accept();
  abort.abort();
  await assert.rejects(attempt, { code: "cancelled" });
  assert.equal(await peer.read(new Uint8Array(1)), null, "the connection is closed");
});

Deno.test("aborting while the server has not yet accepted the client ends the attempt", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const abort = new AbortController();
  const attempt = connect({ servers: `nats://127.0.0.1:${listener.addr.port}`, signal: abort.signal });
  using peer = await listener.accept();
  await peer.write(INFO);
  assert.match(await readText(peer), /^CONNECT /);
  abort.abort();
  await assert.rejects(attempt, { code: "cancelled" });
});

Deno.test("aborting ends the wait for a first server", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const servers = `nats://127.0.0.1:${listener.addr.port}`;
  listener.close();
  const signal = AbortSignal.timeout(100);
  await assert.rejects(connect({ servers, waitOnFirstConnect: true, signal }), { code: "cancelled" });
});

Deno.test("an aborted signal makes no attempt", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const servers = `nats://127.0.0.1:${listener.addr.port}`;
  await assert.rejects(connect({ servers, signal: AbortSignal.abort() }), { code: "cancelled" });
});

Deno.test("aborting after the connection was made leaves it alone", async () => {
  await using server = await startTestServer();
  const abort = new AbortController();
  await using connection = await connect({ servers: server.url, signal: abort.signal });
  abort.abort();
  await connection.flush();
  assert.equal(connection.isClosed(), false);
});

Deno.test("a server that hangs up before it accepts the client is not waited for", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const attempt = connect({ servers: `nats://127.0.0.1:${listener.addr.port}`, timeoutMs: 600_000 });
  const peer = await listener.accept();
  await peer.write(INFO);
  peer.close();
  await assert.rejects(attempt, { code: "unavailable" });
});

Deno.test("what is no NATS server is named as such", async () => {
  await using web = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen: () => {} }, () => new Response());
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const attempt = connect({ servers: `nats://127.0.0.1:${listener.addr.port}` });
  using peer = await listener.accept();
  await peer.write(new TextEncoder().encode("SSH-2.0-OpenSSH_9.9\r\n"));
  await assert.rejects(attempt, { code: "unavailable", message: /no NATS server/ });
  // A server that waits for the client to speak first can only be told by its silence.
  await assert.rejects(connect({ servers: `nats://127.0.0.1:${web.addr.port}`, timeoutMs: 100 }), { code: "timeout" });
});

Deno.test("a client rides out a killed server, and its subscriptions with it", async () => {
  await using server = await startTestServer();
  const connection = await connect({ servers: server.url });
  const subscription = connection.subscribe("after");
  await connection.flush();
  const seen = watch(connection);

  await server.kill("SIGKILL");
  await seen("disconnect");
  await server.restart();
  await seen("reconnect");

  connection.publish("after", "the storm");
  for await (const message of subscription) {
    assert.equal(message.string(), "the storm");
    break;
  }
  await connection.close();
});

Deno.test("a clock that is set back does not keep a client from connecting again", async () => {
  await using server = await startTestServer();
  const connection = await connect({ servers: server.url });
  const seen = watch(connection);
  const { now } = Date;
  try {
    await server.kill("SIGKILL");
    await seen("disconnect");
    // After the first attempt at least, whose time is remembered.
    await seen("reconnecting");
    Date.now = () => now() - 3_600_000;
    await server.restart();
    let back = false;
    void seen("reconnect").then(() => back = true);
    await until("the client to connect again", () => back);
  } finally {
    Date.now = now;
  }
  await connection.close();
});

Deno.test("a client without a server can be closed", async () => {
  await using server = await startTestServer();
  const connection = await connect({ servers: server.url });
  const seen = watch(connection);
  await server.kill("SIGKILL");
  await seen("disconnect");
  await connection.close();
  assert.equal(connection.isClosed(), true);
});

Deno.test("a link lost in the moment it was made is made again", async () => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const attempt = connect({ servers: `nats://127.0.0.1:${listener.addr.port}` });
  for (const words of ["PONG\r\n", "PONG\r\n-ERR 'User Authentication Expired'\r\n"]) {
    using peer = await listener.accept();
    await greet(peer, words);
  }
  using peer = await listener.accept();
  await greet(peer, "PONG\r\n");
  const connection = await attempt;
  connection.publish("here");
  assert.match(await readText(peer), /^PUB here 0\r\n/);
  await connection.close();
});

Deno.test("without reconnect a lost server ends the connection", async () => {
  await using server = await startTestServer();
  const connection = await connect({ servers: server.url, reconnect: false });
  const closed = connection.closed();
  await server.kill("SIGKILL");
  await closed;
  assert.equal(connection.isClosed(), true);
});

Deno.test("a first server may come later than its client", async () => {
  await using server = await startTestServer();
  await server.kill();
  const waiting = connect({ servers: server.url, waitOnFirstConnect: true });
  await server.restart();
  await using connection = await waiting;
  await connection.flush();
});

Deno.test("user and password are taken from the address, and missing ones are asked for", async () => {
  await using server = await startTestServer({ authorization: { user: "ann", password: "p@ss:word" } });
  const at = `127.0.0.1:${server.port}`;
  await using connection = await connect({ servers: `nats://ann:p%40ss%3Aword@${at}`, name: "test" });
  await connection.flush();
  await assert.rejects(connect({ servers: `nats://${at}` }), { code: "unauthenticated", message: /asks for cred/ });
  await assert.rejects(connect({ servers: `nats://ann:wrong@${at}` }), { code: "unauthenticated" });
});

Deno.test("answers come on the inbox prefix that was given", async () => {
  await using server = await startTestServer();
  await using connection = await connect({ servers: server.url, inboxPrefix: "_INBOX_ann" });
  connection.subscribe("whereto", { callback: (_error, message) => void message.respond(message.reply ?? "") });
  const answer = await connection.request("whereto", "", { timeout: 10_000 });
  assert.match(answer.string(), /^_INBOX_ann\./);
});

Deno.test("options that cannot work are refused before anything is opened", async () => {
  const servers = "nats://127.0.0.1:1";
  await assert.rejects(connect({ servers: "http://127.0.0.1" }), { code: "invalid" });
  await assert.rejects(connect({ servers, creds: "nonsense" }), { code: "invalid" });
  await assert.rejects(connect({ servers, tls: { cert: "x" } }), { code: "invalid" });
  await assert.rejects(connect({ servers, tls: { cert: "x", key: "y" } }), { code: "invalid", message: /TLS comes/ });
});

const INFO = new TextEncoder().encode('INFO {"server_id":"x","version":"2.11.0","proto":1,"max_payload":1000}\r\n');

/** Plays the server up to its answer to the client's CONNECT and PING. */
async function greet(peer: Deno.TcpConn, words: string): Promise<void> {
  await peer.write(INFO);
  let hello = "";
  while (!hello.endsWith("PING\r\n")) hello += await readText(peer);
  await peer.write(new TextEncoder().encode(words));
}

async function readText(peer: Deno.TcpConn): Promise<string> {
  const buffer = new Uint8Array(1024);
  const length = await peer.read(buffer);
  assert.ok(length !== null, "the client hung up");
  return new TextDecoder().decode(buffer.subarray(0, length));
}

/** Returns a function that resolves when the connection has reported, or reports, that status. */
function watch(connection: NatsConnection): (type: string) => Promise<void> {
  const reports = connection.status()[Symbol.asyncIterator]();
  return async (type) => {
    while (true) {
      const { done, value } = await reports.next();
      assert.ok(!done, `the connection ended before '${type}'`);
      if (value.type === type) return;
    }
  };
}
