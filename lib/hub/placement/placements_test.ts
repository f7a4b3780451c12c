/** Submitting commands that may move, kept in a real bucket. */
import assert from "node:assert/strict";
import { startTestServer } from "../../../tests/nats_server.ts";
import { type Bucket, openBucket } from "../../nats/bucket.ts";
import { openBus } from "../../nats/bus.ts";
import type { Event } from "../../protocol/event.ts";
import { newCommandId } from "../../protocol/id.ts";
import { Moving } from "../../protocol/moving.ts";
import { openPlacements } from "./placements.ts";

Deno.test("a command that is submitted several times at once is one, and no one is told so before it is kept", async () => {
  await using server = await startTestServer({ jetstream: { store_dir: "$DIR/store" } });
  await using bus = await openBus({ servers: server.url });
  const real = await openBucket(bus, { name: "moving", schema: Moving, maxBytes: 2 ** 20 });
  let full = false;
  const bucket: Bucket<Moving> = {
    ...real,
    put: (key, value) => full ? Promise.reject(new Error("the store is full")) : real.put(key, value),
  };
  const told: Event[] = [];
  const placements = await openPlacements({
    bucket,
    nodes: () => [],
    record: () => bus.flush().then(() => undefined),
    now: Date.now,
    elapsed: () => performance.now(),
    give: () => assert.fail("there is no node"),
    cancelOn: () => assert.fail("there is no node"),
    resultOf: () => Promise.resolve(undefined),
    tell: (event) => Promise.resolve(void told.push(event)),
    log: () => {},
  });
  const submit = (id: string) =>
    placements.submit({ id, any: "all", move: true, capability: "work", verb: "do", input: {} }, undefined);
  const [kept, refused] = [newCommandId(), newCommandId()];
  const answers = await Promise.all([submit(kept), submit(kept), submit(kept)]);
  assert.deepEqual(answers.map(({ id, state }) => [id, state]), Array(3).fill([kept, "queued"]));
  assert.deepEqual(told.map(({ type }) => type), ["command_queued"]);
  full = true;
  const outcomes = await Promise.allSettled([submit(refused), submit(refused)]);
  assert.deepEqual(outcomes.map(({ status }) => status), ["rejected", "rejected"]);
  assert.deepEqual([...(await real.entries()).keys()], [kept]);
  await placements.settled();
});
