/** Batches against a real server that is slow, or never hears of their beginning. */
import assert from "node:assert/strict";
import { startTestServer } from "../../tests/nats_server.ts";
import { until } from "../../tests/until.ts";
import { XtaskError } from "../protocol/error.ts";
import { upMark, upResult } from "../protocol/subjects.ts";
import { publishBatch } from "./batch.ts";
import { openBus } from "./bus.ts";
import { ensureStreams, lastSequence, STREAM } from "./streams.ts";

const payload = new TextEncoder().encode("x");
const WAITS = { expected: 0, answerMs: 1_000, slowMs: 15_000 };

// Only where a process can be stopped is its answer known to be late.
Deno.test("a batch that is slow to begin goes on, and is stored", { ignore: Deno.build.os === "windows" }, async () => {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startTestServer({ jetstream: { store_dir: "$DIR/store" } }));
  const bus = stack.use(await openBus({ servers: server.url }));
  await ensureStreams(bus, { project: "p" });
  const messages = [upMark("n1", "s1"), upResult("n1", "c1"), upResult("n1", "c2")]
    .map((subject) => ({ subject, headers: {}, payload }));
  const before = bus.connection.stats().outMsgs;
  Deno.kill(server.pid, "SIGSTOP");
  const goOn = async () => {
    try {
      await until("all of it to leave", () => bus.connection.stats().outMsgs === before + messages.length);
    } finally {
      Deno.kill(server.pid, "SIGCONT");
    }
  };
  const [outcome] = await Promise.all([publishBatch(bus, messages, WAITS), goOn()]);
  assert.deepEqual(outcome, { first: 1 });
  assert.equal(await lastSequence(bus, STREAM.up), 3);
});

Deno.test("of a batch whose beginning was lost nothing is stored, which is told at once", async () => {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startTestServer({ jetstream: { store_dir: "$DIR/store" } }));
  const bus = stack.use(await openBus({ servers: server.url }));
  await ensureStreams(bus, { project: "p" });
  using _unanswered = bus.subscribe("elsewhere", () => {});
  const messages = ["elsewhere", upResult("n1", "c1"), upResult("n1", "c2")]
    .map((subject) => ({ subject, headers: {}, payload }));
  await assert.rejects(
    publishBatch(bus, messages, WAITS),
    (error) => error instanceof XtaskError && error.code === "unavailable",
  );
  assert.equal(await lastSequence(bus, STREAM.up), 0);
});
