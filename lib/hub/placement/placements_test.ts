/** Submitting commands that may move, kept in a real bucket. */
import assert from "node:assert/strict";
import { startTestServer } from "../../../tests/nats_server.ts";
import { type Bucket, openBucket } from "../../nats/bucket.ts";
import { openBus } from "../../nats/bus.ts";
import type { Event } from "../../protocol/event.ts";
import { newCommandId } from "../../protocol/id.ts";
import { Moving } from "../../protocol/moving.ts";
import type { CommandRecord } from "../../protocol/run.ts";
import type { Candidate } from "./choose.ts";
import { openPlacements } from "./placements.ts";

const NODE: Candidate = {
  id: "n1",
  hostname: "here",
  platform: { os: "linux", arch: "amd64" },
  labels: {},
  capabilities: [{ name: "work", verbs: ["do"] }],
  state: "online",
  slots: { total: 1, free: 1 },
  queued: 0,
  load: { one: 0, cores: 1, memoryBytes: 1, memoryFreeBytes: 1 },
  running: [],
  leases: true,
};

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

Deno.test("one that has ended is told of as it ended, also while it is being forgotten", async () => {
  await using server = await startTestServer({ jetstream: { store_dir: "$DIR/store" } });
  await using bus = await openBus({ servers: server.url });
  const real = await openBucket(bus, { name: "moving", schema: Moving, maxBytes: 2 ** 20 });
  const [forgetting, forget] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const bucket: Bucket<Moving> = {
    ...real,
    async delete(key) {
      forgetting.resolve();
      await forget.promise;
      await real.delete(key);
    },
  };
  const [id, asked] = [newCommandId(), { capability: "work", verb: "do", input: {} }];
  const at = new Date().toISOString();
  const given = Promise.withResolvers<void>();
  const record: CommandRecord = {
    ...{ id, ...asked, acceptedAt: at, updatedAt: at },
    runs: { n1: { state: "succeeded", attempt: 1 } },
    move: { any: "all", attempt: 1, node: "n1", lost: [] },
  };
  const records = new Map<string, CommandRecord>();
  const placements = await openPlacements({
    bucket,
    nodes: () => [NODE],
    record: (id) => Promise.resolve(records.get(id)),
    now: Date.now,
    elapsed: () => performance.now(),
    give: () => Promise.resolve(given.resolve()),
    cancelOn: () => assert.fail("nobody cancels"),
    resultOf: () => Promise.resolve(undefined),
    tell: () => Promise.resolve(),
    log: () => {},
  });
  const submit = () => placements.submit({ id, any: "all", move: true, ...asked }, undefined);
  await submit();
  await given.promise;
  placements.renew("n1", [{ id, epoch: 1 }]);
  records.set(id, record);
  placements.hear({
    type: "command_result",
    at,
    node: "n1",
    command: id,
    attempt: 1,
    state: "succeeded",
    durationMs: 1,
  });
  await forgetting.promise;
  const { state, node, attempt } = await submit();
  assert.deepEqual([state, node, attempt], ["succeeded", "n1", 1]);
  forget.resolve();
  await placements.settled();
});
