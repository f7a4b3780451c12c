import assert from "node:assert/strict";
import { startTestServer } from "../../tests/nats_server.ts";
import { openBus } from "./bus.ts";
import { publishStored } from "./uplink.ts";

const report = { subject: "reports.one", headers: {}, payload: new TextEncoder().encode("one") };

Deno.test("a wait for the acknowledgement ends soon after its signal, one that has not begun at once", async () => {
  await using server = await startTestServer();
  await using bus = await openBus({ servers: server.url });
  // Somebody takes the message and says nothing, as a server does that is stopped by the system.
  const taken = Promise.withResolvers<void>();
  using _silent = bus.subscribe(report.subject, () => taken.resolve());
  await bus.flush();
  const stop = new AbortController();
  const waiting = publishStored(bus, report, { signal: stop.signal });
  const outcome = assert.rejects(waiting, { code: "cancelled" });
  await taken.promise;
  const begun = performance.now();
  stop.abort();
  await outcome;
  assert.ok(performance.now() - begun < 5_000, "far sooner than the server's time for an answer");
  await assert.rejects(publishStored(bus, report, { signal: stop.signal }), { name: "AbortError" });
});

Deno.test("what is stored by the time of the signal is known to be", async () => {
  await using server = await startTestServer();
  await using bus = await openBus({ servers: server.url });
  const stop = new AbortController();
  bus.connection.subscribe(report.subject, {
    callback: (_, message) => {
      stop.abort();
      message.respond('{"stream":"S","seq":7}');
    },
  });
  await bus.flush();
  assert.equal(await publishStored(bus, report, { signal: stop.signal }), 7);
});
