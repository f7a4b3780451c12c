import assert from "node:assert/strict";
import { startTestServer } from "../../tests/nats_server.ts";
import { connect } from "./connect.ts";
import { natsError } from "./error.ts";

const WITHIN = { timeout: 10_000 };

Deno.test("natsError puts what the client throws into xtask's words", async (t) => {
  await using server = await startTestServer({
    authorization: {
      users: [{ user: "ann", password: "x", permissions: { publish: ["free", "mute"], subscribe: [">"] } }],
    },
  });
  await using connection = await connect({ servers: `nats://ann:x@127.0.0.1:${server.port}` });

  await t.step("nobody answers", async () => {
    await throws(connection.request("free", "", WITHIN), "unavailable", /Nobody answers on free/);
  });
  await t.step("an answer does not come in time", async () => {
    connection.subscribe("mute");
    await throws(connection.request("mute", "", { timeout: 50 }), "timeout", /time allowed/);
  });
  await t.step("a subject is forbidden", async () => {
    await throws(connection.request("secret", "", WITHIN), "forbidden", /may not publish to secret/);
  });
  await t.step("a payload is too large", async () => {
    const payload = new Uint8Array((connection.info?.max_payload ?? 0) + 1);
    await throws(Promise.try(() => connection.publish("free", payload)), "invalid", /max_payload/);
  });
  await t.step("a subject is none", async () => {
    await throws(Promise.try(() => connection.publish("not a subject")), "invalid", /illegal subject/);
  });
  await t.step("the server goes away during a request", async () => {
    const pending = throws(connection.request("mute", "", { timeout: 60_000 }), "unavailable", /over/);
    await connection.flush();
    await connection.close();
    await pending;
  });
  await t.step("the connection is closed", async () => {
    await throws(Promise.try(() => connection.publish("free")), "unavailable", /closed connection/);
  });
  await t.step("anything else is internal, and an XtaskError is itself", () => {
    assert.equal(natsError(new RangeError("odd")).code, "internal");
    const error = natsError(new RangeError("odd"));
    assert.equal(natsError(error), error);
  });
});

async function throws(deed: Promise<unknown>, code: string, message: RegExp): Promise<void> {
  const error = await deed.then(() => undefined, natsError);
  assert.equal(error?.code, code);
  assert.match(error?.message ?? "", message);
}
