import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { type Certificates, makeCertificates, OPENSSL } from "../../tests/certificates.ts";
import { startTestServer, type TestServer } from "../../tests/nats_server.ts";
import { connect, type ConnectOptions } from "./connect.ts";

Deno.test("a payload of 1 MB comes back unchanged", async () => {
  await using server = await startTestServer();
  await echoes({ servers: server.url }, 1_000_000);
});

Deno.test("many small messages arrive all and in order", async () => {
  await using server = await startTestServer();
  await using publisher = await connect({ servers: server.url });
  await using subscriber = await connect({ servers: server.url });
  const count = 50_000;
  const got: number[] = [];
  const all = Promise.withResolvers<void>();
  subscriber.subscribe("numbers", {
    callback: (error, message) => {
      if (error) all.reject(error);
      if (got.push(Number(message.string())) === count) all.resolve();
    },
  });
  await subscriber.flush();
  const sent = Array.from({ length: count }, (_, index) => index);
  for (const number of sent) publisher.publish("numbers", String(number));
  await all.promise;
  assert.deepEqual(got, sent);
});

Deno.test("messages of every size around the read buffer's arrive unchanged", async () => {
  await using server = await startTestServer();
  await using connection = await connect({ servers: server.url });
  await using subscription = connection.subscribe("sizes");
  const sent = [0, 1, 8_000, 16_300, 16_384, 16_400, 32_700, 32_768, 33_000, 70_000].map((size) => randomBytes(size));
  for (const bytes of [...sent, ...sent]) connection.publish("sizes", bytes);
  const got: Uint8Array[] = [];
  for await (const { data } of subscription) if (got.push(data) === sent.length * 2) break;
  // Compared only after all have come: a buffer used twice would show.
  assert.deepEqual(got.map((bytes) => Buffer.from(bytes)), [...sent, ...sent]);
});

Deno.test("the drained connection has delivered what was published before", async () => {
  await using server = await startTestServer();
  await using subscriber = await connect({ servers: server.url });
  await using subscription = subscriber.subscribe("last");
  await subscriber.flush();
  const publisher = await connect({ servers: server.url });
  publisher.publish("last", "words");
  await publisher.drain();
  for await (const message of subscription) {
    assert.equal(message.string(), "words");
    break;
  }
});

Deno.test({ name: "TLS", ignore: !OPENSSL }, async (t) => {
  await using certificates = await makeCertificates();
  await using other = await makeCertificates();
  const { ca } = certificates;

  await t.step("a server that asks for TLS gets it, whatever the address says", async () => {
    await using server = await tlsServer(certificates);
    await echoes({ servers: server.url, tls: { ca } }, 1_000_000);
    await echoes({ servers: `tls://localhost:${server.port}`, tls: { ca } }, 1_000);
  });

  await t.step("a server that begins with TLS is spoken to so", async () => {
    await using server = await tlsServer(certificates, { handshake_first: true });
    await echoes({ servers: server.url, tls: { ca, handshakeFirst: true } }, 1_000_000);
  });

  await t.step("a certificate of another authority is refused", async () => {
    await using server = await tlsServer(certificates);
    const attempt = connect({ servers: `tls://127.0.0.1:${server.port}`, tls: { ca: other.ca } });
    await assert.rejects(attempt, { code: "unavailable", message: /TLS.*UnknownIssuer/ });
    await assert.rejects(connect({ servers: server.url }), { code: "unavailable", message: /TLS.*UnknownIssuer/ });
  });

  await t.step("a certificate for another name is refused", async () => {
    await using server = await tlsServer({ ...certificates, server: certificates.elsewhere });
    const attempt = connect({ servers: server.url, tls: { ca } });
    await assert.rejects(attempt, { code: "unavailable", message: /TLS.*not valid for name/ });
  });

  await t.step("a tls:// address does without the connection rather than without TLS", async () => {
    await using server = await startTestServer();
    const attempt = connect({ servers: server.url.replace("nats:", "tls:") });
    await assert.rejects(attempt, { code: "unavailable", message: /offers no TLS/ });
  });

  await t.step("a client's certificate is shown, and a client without one is refused", async () => {
    await using server = await tlsServer(certificates, {
      handshake_first: true,
      verify: true,
      ca_file: certificates.caFile,
    });
    await echoes({ servers: server.url, tls: { ca, handshakeFirst: true, ...certificates.client } }, 1_000);
    const attempt = connect({ servers: server.url, tls: { ca, handshakeFirst: true }, timeoutMs: 60_000 });
    await assert.rejects(attempt, { code: "unavailable" });
  });
});

function tlsServer({ server }: Pick<Certificates, "server">, more: Record<string, unknown> = {}): Promise<TestServer> {
  return startTestServer({ tls: { cert_file: server.cert, key_file: server.key, timeout: 20, ...more } });
}

async function echoes(options: ConnectOptions, size: number): Promise<void> {
  await using connection = await connect(options);
  connection.subscribe("echo", { callback: (_error, message) => void message.respond(message.data) });
  const bytes = randomBytes(size);
  const { data } = await connection.request("echo", bytes, { timeout: 10_000 });
  assert.ok(bytes.equals(data), "the answer differs from what was sent");
}
