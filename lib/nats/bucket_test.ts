import assert from "node:assert/strict";
import { DiscardPolicy, jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import * as v from "valibot";
import { startTestServer } from "../../tests/nats_server.ts";
import { XtaskError } from "../protocol/error.ts";
import { openBucket } from "./bucket.ts";
import { openBus } from "./bus.ts";

const schema = v.object({ text: v.string() });
const code = (promise: Promise<unknown>) => promise.then(() => "done", (error) => XtaskError.from(error).code);
const ASK_MS = 5_000;

Deno.test("a bucket of an earlier version keeps its values and is brought to what is wanted now", async () => {
  await using server = await startTestServer('jetstream { store_dir: "$DIR/store" }');
  await using bus = await openBus({ servers: server.url });
  await (await new Kvm(bus.connection).create("old", { history: 1 })).put("k", '{"text":"kept"}');
  const bucket = await openBucket(bus, { name: "old", schema, ttlMs: 60_000, maxBytes: 1024 ** 2, full: "old" });
  assert.deepEqual(await bucket.get("k"), { text: "kept" });
  const { config } = await (await jetstreamManager(bus.connection)).streams.info("KV_old");
  assert.deepEqual([config.max_age, config.max_bytes, config.discard], [60_000 * 1e6, 1024 ** 2, DiscardPolicy.Old]);
});

Deno.test("a key is swapped only where nobody has written since, deleted or not", async () => {
  await using server = await startTestServer('jetstream { store_dir: "$DIR/store" }');
  await using bus = await openBus({ servers: server.url });
  const bucket = await openBucket(bus, { name: "b", schema, maxBytes: 1024 ** 2 });
  assert.deepEqual(await bucket.revised("k", ASK_MS), { value: undefined, revision: 0 });
  const first = await bucket.swap("k", { text: "a" }, 0, ASK_MS);
  assert.equal(await code(bucket.swap("k", { text: "b" }, 0, ASK_MS)), "conflict");
  assert.deepEqual(await bucket.revised("k", ASK_MS), { value: { text: "a" }, revision: first });
  await bucket.swap("other", { text: "x" }, 0, ASK_MS);
  const gone = await bucket.swap("k", undefined, first, ASK_MS);
  assert.deepEqual(await bucket.revised("k", ASK_MS), { value: undefined, revision: gone });
  assert.equal(await bucket.get("k"), undefined);
  assert.equal(await code(bucket.swap("k", { text: "b" }, first, ASK_MS)), "conflict");
  assert.ok(await bucket.swap("k", { text: "b" }, gone, ASK_MS) > gone);
});

Deno.test("all values are those that are there, whatever became of the others", async () => {
  await using server = await startTestServer('jetstream { store_dir: "$DIR/store" }');
  await using bus = await openBus({ servers: server.url });
  const bucket = await openBucket(bus, { name: "b", schema, maxBytes: 1024 ** 2 });
  assert.deepEqual(await bucket.entries(), new Map());
  for (const key of ["a", "b", "c", "d"]) await bucket.put(key, { text: key });
  await bucket.put("a", { text: "again" });
  await (await new Kvm(bus.connection).open("b")).put("other", "of another version");
  await bucket.delete("b");
  const { revision } = await bucket.revised("c", ASK_MS);
  await bucket.swap("c", undefined, revision, ASK_MS);
  assert.deepEqual(await bucket.entries(), new Map([["d", { text: "d" }], ["a", { text: "again" }]]));
  await (await jetstreamManager(bus.connection)).streams.purge("KV_b", { filter: "$KV.b.d" });
  await bucket.put("e", { text: "e" });
  await bucket.delete("a");
  await bucket.delete("e");
  assert.deepEqual(await bucket.entries(), new Map(), "none is left but the word that they are gone");
});

Deno.test("a full bucket lets the oldest go, or refuses the newest", async () => {
  await using server = await startTestServer('jetstream { store_dir: "$DIR/store" }');
  await using bus = await openBus({ servers: server.url });
  const text = "x".repeat(1_000);
  const fill = async (full: "old" | "new") => {
    const bucket = await openBucket(bus, { name: full, schema, maxBytes: 3_000, full });
    for (const key of ["a", "b", "c"]) await bucket.put(key, { text });
    return bucket;
  };
  assert.deepEqual([...(await (await fill("old")).entries()).keys()], ["b", "c"]);
  const refused = await fill("new").then(() => undefined, (error) => XtaskError.from(error));
  assert.equal(refused?.code, "exhausted");
});
