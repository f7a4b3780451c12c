import assert from "node:assert/strict";
import { openBus } from "../nats/bus.ts";
import { hubSubject } from "../protocol/subjects.ts";
import { startTestServer } from "../../tests/nats_server.ts";
import { clockOffset, hubHealth } from "./clock.ts";
import { connectFleet } from "./fleet.ts";

Deno.test("the shortest round trip decides, and half of it is the error", () => {
  const offset = clockOffset([
    { askedAt: 0, roundTripMs: 500, otherAt: 9_000 },
    { askedAt: 1_000, roundTripMs: 20, otherAt: 1_000 },
    { askedAt: 2_000, roundTripMs: 300, otherAt: 1_000 },
  ]);
  assert.deepEqual(offset, { aheadMs: 10, errorMs: 11 });
  assert.throws(() => clockOffset([]), RangeError);
});

Deno.test("a hub whose clock is five minutes ahead is found to be, within the error", async () => {
  await using server = await startTestServer();
  await using hub = await openBus({ servers: server.url });
  using _answering = hub.subscribe(hubSubject("health", "check"), (message) => {
    message.respond(JSON.stringify({ version: "9.9.9", now: new Date(Date.now() + 300_000).toISOString() }));
  });
  await hub.flush();
  await using fleet = await connectFleet({ servers: server.url });
  const { version, aheadMs, errorMs, roundTripMs } = await hubHealth(fleet);
  assert.equal(version, "9.9.9");
  assert.ok(Math.abs(aheadMs + 300_000) <= errorMs, `${aheadMs} ± ${errorMs} ms`);
  assert.ok(errorMs >= roundTripMs / 2 && roundTripMs > 0);
});
