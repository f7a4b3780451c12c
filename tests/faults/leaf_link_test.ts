import assert from "node:assert/strict";
import { connectFleet } from "../../lib/client/fleet.ts";
import { storedLogs } from "../../lib/client/follow.ts";
import { type Bus, openBus } from "../../lib/nats/bus.ts";
import { outState } from "../../lib/nats/own_streams.ts";
import { lastOf, readStream, STREAM } from "../../lib/nats/streams.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { statusSubject, storedResult, storedResults } from "../../lib/protocol/subjects.ts";
import { ask, ended } from "../asking.ts";
import { startFleet, type TestFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { relayTo } from "./relay.ts";

const TASKS = `
version: "3"
silent: true
tasks:
  hello: echo hello
`;

/** A connection to a node's own server, as the command line on its machine has it. */
async function there(fleet: TestFleet, stack: AsyncDisposableStack): Promise<Bus> {
  return stack.use(await openBus({ servers: fleet.node("n1").localAddress ?? "" }));
}

/** Text of a command's output as a server has it stored. */
async function textOf(bus: Bus, id: string): Promise<string> {
  let text = "";
  for await (const event of storedLogs(bus, { id })) {
    if (event.type === "gap") text += `[${event.bytes} bytes are missing]`;
    if (event.type === "log") text += event.pieces.map(({ bytes }) => new TextDecoder().decode(bytes)).join("");
  }
  return text;
}

/** Subjects and texts of a stream, in order. */
async function stored(bus: Bus, stream: string, subjects: string[]): Promise<string[]> {
  const found: string[] = [];
  for await (const { subject, data } of readStream(bus, stream, { subjects, from: "first" })) {
    found.push(`${subject} ${new TextDecoder().decode(data)}`);
  }
  return found;
}

Deno.test("the link of a leaf node is cut", async (t) => {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(await startFleet({ nodes: [], taskfile: TASKS }));
  const { admin, up } = fleet;
  const link = stack.use(relayTo(up.server.leafPort ?? 0));
  await fleet.start({ id: "n1", leaf: { port: link.port } });
  await until("the node at the hub", () => up.hub.fleet.get("n1")?.state === "online");
  const own = await there(fleet, stack);

  await t.step("it works alone: commands, output and results, by whoever asks on its machine", async () => {
    link.cut();
    await until(
      "the node to be out of the hub's reach",
      () => admin.request(statusSubject("n1"), "", { timeoutMs: 500 }).then(() => false, () => true),
    );
    await using local = await connectFleet({ servers: fleet.node("n1").localAddress ?? "" });
    assert.deepEqual((await local.nodes()).map(({ id }) => id), ["n1"]);
    const asked = await local.ask({
      capability: "task",
      verb: "run",
      input: { args: ["hello"] },
      nodes: ["n1"],
      waitMs: 0,
    });
    const types: string[] = [];
    for await (const event of local.follow(asked.id, ["n1"])) types.push(event.type);
    assert.deepEqual(types, ["log", "result"]);
    assert.equal(await textOf(own, asked.id), "hello\n");
    assert.equal((await lastOf(own, STREAM.results, storedResult(asked.id, "n1")))?.text.includes("succeeded"), true);
    assert.equal(await lastOf(admin, STREAM.results, storedResult(asked.id, "n1")), undefined);
    link.restore();
    await until("the hub to have the result", () => lastOf(admin, STREAM.results, storedResult(asked.id, "n1")));
    assert.equal(await textOf(admin, asked.id), "hello\n");
  });

  await t.step(
    "it comes back with a thousand reports: all are there once and in order, within five seconds",
    async () => {
      link.cut();
      const before = (await outState(own)).last;
      const ids: string[] = [];
      // Reads leave no record, and runs leave three events, output and a result each.
      while ((await outState(own)).last - before < 1_000) {
        const batch = Array.from({ length: 8 }, () => newCommandId());
        ids.push(...batch);
        const asked = batch.map((id) =>
          ask(own, "n1", "silent.exec", { command: ["echo", id] }, { id, waitMs: 20_000 })
        );
        for (const reply of await Promise.all(asked)) assert.equal(ended(reply).state, "succeeded");
      }
      const waiting = (await outState(own)).last - before;
      link.restore();
      const begun = performance.now();
      const last = ids.at(-1) ?? "";
      await until("the last result", () => lastOf(admin, STREAM.results, storedResult(last, "n1")), {
        timeoutMs: 30_000,
      });
      await until(
        "every result",
        async () => (await stored(admin, STREAM.results, [storedResults("*")])).length === ids.length + 1,
      );
      const tookMs = performance.now() - begun;
      const here = await stored(own, STREAM.events, ["xtask.events.>"]);
      const hubs = (await stored(admin, STREAM.events, ["xtask.events.>"])).filter((line) =>
        line.split(" ")[0]?.endsWith(".n1")
      );
      assert.deepEqual(hubs, here);
      assert.deepEqual(
        await stored(admin, STREAM.results, [storedResults("*")]),
        await stored(own, STREAM.results, [storedResults("*")]),
      );
      assert.ok(tookMs < 5_000, `it took ${tookMs} ms for ${waiting} reports`);
    },
  );
});
