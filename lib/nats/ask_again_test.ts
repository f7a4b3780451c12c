import assert from "node:assert/strict";
import { startTestServer } from "../../tests/nats_server.ts";
import { openBus } from "./bus.ts";

Deno.test("a question to JetStream that nobody answers is asked again in time; what changes something is not", async () => {
  await using server = await startTestServer();
  await using servers = await openBus({ servers: server.url });
  const heard: string[] = [];
  // As servers do that choose another leader for a stream: what is asked meanwhile is answered by nobody.
  using _api = servers.subscribe("$JS.API.STREAM.*.X", (message) => {
    heard.push(message.subject);
    if (heard.filter((subject) => subject === message.subject).length > 1) message.respond("led again");
  });
  await servers.flush();
  await using bus = await openBus({ servers: server.url });
  const ask = (what: string, timeout: number) => bus.connection.request(`$JS.API.STREAM.${what}.X`, "", { timeout });
  assert.equal((await ask("INFO", 10_000)).string(), "led again");
  await assert.rejects(ask("CREATE", 2_500), /timeout/);
  assert.deepEqual(heard, ["$JS.API.STREAM.INFO.X", "$JS.API.STREAM.INFO.X", "$JS.API.STREAM.CREATE.X"]);
});
