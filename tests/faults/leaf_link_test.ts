import assert from "node:assert/strict";
import { connectFleet } from "../../lib/client/fleet.ts";
import { storedLogs } from "../../lib/client/follow.ts";
import { type Bus, openBus } from "../../lib/nats/bus.ts";
import { outState } from "../../lib/nats/own_streams.ts";
import { lastOf, readStream, STREAM } from "../../lib/nats/streams.ts";
import { serverMark } from "../../lib/nats/server.ts";
import { sendSignal, survivors } from "../../lib/os/processes.ts";
import { type Link, NodeRecord } from "../../lib/protocol/node.ts";
import { parseJson } from "../../lib/protocol/parse.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { statusSubject, storedEvents, storedResult, storedResults } from "../../lib/protocol/subjects.ts";
import { counted, countedIn, COUNTING, openGate } from "../counting.ts";
import { ask, ended, ongoing, resultOf } from "../asking.ts";
import { startFleet, type TestFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { relayTo } from "./relay.ts";

const TASKS = `
version: "3"
silent: true
tasks:
  hello: printf 'hello\\n'
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

/** What the node says of its link. */
async function linkOf(bus: Bus): Promise<Link> {
  return parseJson(NodeRecord, (await bus.request(statusSubject("n1"), "")).text(), "record").link;
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
    await until("its output where it ran", async () => await textOf(own, asked.id) === "hello\n");
    const result = await until(
      "its result where it ran",
      () => lastOf(own, STREAM.results, storedResult(asked.id, "n1")),
    );
    assert.match(result.text, /succeeded/);
    assert.equal(await lastOf(admin, STREAM.results, storedResult(asked.id, "n1")), undefined);
    link.restore();
    await until("the hub to have the result", () => lastOf(admin, STREAM.results, storedResult(asked.id, "n1")));
    await until("its output", async () => await textOf(admin, asked.id) === "hello\n");
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
      await until("the node to be in reach", () => linkOf(admin).then(() => true, () => false));
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
      await until("the same events, in the same order", async () => {
        const hubs = (await stored(admin, STREAM.events, ["xtask.events.>"])).filter((line) =>
          / \S*\.n1 /.test(` ${line}`)
        );
        return hubs.join("\n") === (await stored(own, STREAM.events, ["xtask.events.>"])).join("\n");
      });
      const results = [storedResults("*")];
      assert.deepEqual(await stored(admin, STREAM.results, results), await stored(own, STREAM.results, results));
      assert.ok(tookMs < 5_000, `it took ${tookMs} ms for ${waiting} reports`);
    },
  );
});

Deno.test("the link of a leaf node flaps while it works: every report arrives once, and in order", async () => {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(await startFleet({ nodes: [] }));
  const link = stack.use(relayTo(fleet.up.server.leafPort ?? 0));
  await fleet.start({ id: "n1", leaf: { port: link.port } });
  await until("the node at the hub", () => fleet.up.hub.fleet.get("n1")?.state === "online");
  const own = await there(fleet, stack);
  const ids: string[] = [];
  const work = async () => {
    const id = newCommandId();
    ids.push(id);
    assert.equal(ended(await ask(own, "n1", "silent.exec", { command: ["true"] }, { id })).state, "succeeded");
  };
  const marks = async () => (await stored(fleet.admin, STREAM.up, ["xtask.up.n1.mark.*"])).length;
  for (let round = 0; round < 6; round++) {
    for (let count = 0; count < 10; count++) await work();
    link.cut();
    await Promise.all([work(), work(), work()]);
    const before = await marks();
    link.restore();
    // Cut again while it hands over, each time a little later in the middle of it.
    await until("the next batch to be on its way", async () => (await work(), await marks() > before), {
      timeoutMs: 30_000,
    });
  }
  const subjects = ["xtask.events.>"];
  const ofNode = (lines: string[]) => lines.filter((line) => line.split(" ")[0]?.endsWith(".n1"));
  await until("all of it, once and in order", async () => {
    const hub = ofNode(await stored(fleet.admin, STREAM.events, subjects));
    return hub.join("\n") === (await stored(own, STREAM.events, subjects)).join("\n");
  }, { timeoutMs: 30_000 });
  const results = await until("every result", async () => {
    const results = await stored(fleet.admin, STREAM.results, [storedResults("*")]);
    return results.length >= ids.length && results;
  });
  const told = results.map((line) => line.split(" ")[0]).sort();
  assert.deepEqual(told, ids.map((id) => storedResult(id, "n1")).sort());
});

Deno.test("the link of a leaf node is stalled: it is found by pings, and dialled again", async () => {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(await startFleet({ nodes: [] }));
  const link = stack.use(relayTo(fleet.up.server.leafPort ?? 0));
  await fleet.start({ id: "n1", leaf: { port: link.port } });
  await until("the node at the hub", () => fleet.up.hub.fleet.get("n1")?.state === "online");
  const own = await there(fleet, stack);
  link.stall();
  const id = newCommandId();
  assert.equal(ended(await ask(own, "n1", "silent.exec", { command: ["echo", "x"] }, { id })).state, "succeeded");
  await until("the node to say that its link is down", async () => (await linkOf(own)).up === false, {
    timeoutMs: 60_000,
  });
  assert.ok(((await linkOf(own)).backlogBytes ?? 0) > 0);
  // What was dialled before stays stalled: only a new connection gets through.
  link.restore();
  await until("the result at the hub", () => lastOf(fleet.admin, STREAM.results, storedResult(id, "n1")), {
    timeoutMs: 90_000,
  });
  await until("the node to say that all is well", async () => {
    const { up, rttMs = 0, backlogBytes } = await linkOf(own);
    return up === true && rttMs > 0 && backlogBytes === 0;
  });
});

Deno.test("the server of a leaf node is killed while it works: it comes back, and every report arrives once", async () => {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(await startFleet({ nodes: [{ id: "n1", leaf: {} }], taskfile: COUNTING }));
  await until("the node at the hub", () => fleet.up.hub.fleet.get("n1")?.state === "online");
  const { dir, home } = fleet.node("n1");
  const id = newCommandId();
  ongoing(await ask(fleet.admin, "n1", "task.run", { args: ["count"] }, { id, waitMs: 0 }));
  for (let round = 0; round < 3; round++) {
    const before = await countedIn(dir);
    await until("the command to go on", async () => await countedIn(dir) > before + 20);
    const [pid = 0] = await survivors({ groups: [], mark: serverMark(`${home}/leaf`) });
    sendSignal(pid, "SIGKILL");
    await until("another server", async () => {
      const [now] = await survivors({ groups: [], mark: serverMark(`${home}/leaf`) });
      return now !== undefined && now !== pid;
    }, { timeoutMs: 30_000 });
  }
  await openGate(dir);
  await until("the result", () => lastOf(fleet.admin, STREAM.results, storedResult(id, "n1")), { timeoutMs: 60_000 });
  const lines = counted(await countedIn(dir));
  await until("all of its output", async () => await textOf(fleet.admin, id) === lines, { timeoutMs: 30_000 });
  const events = await until("its end among the events", async () => {
    const events = await stored(fleet.admin, STREAM.events, [storedEvents("default")]);
    return events.some((line) => line.includes(id) && line.includes(`"type":"command_result"`)) && events;
  });
  for (const type of ["command_accepted", "command_started", "command_result"]) {
    assert.equal(events.filter((line) => line.includes(id) && line.includes(`"type":"${type}"`)).length, 1, type);
  }
});

Deno.test("the agent of a leaf node starts again while the hub is away, and hands over what the one before left", async () => {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(await startFleet({ nodes: [], taskfile: COUNTING }));
  const link = stack.use(relayTo(fleet.up.server.leafPort ?? 0));
  const spec = { id: "n1", leaf: { port: link.port } };
  const { agent, home } = await fleet.start(spec);
  await until("the node at the hub", () => fleet.up.hub.fleet.get("n1")?.state === "online");
  link.cut();
  const ids = [newCommandId(), newCommandId()];
  const run = async (id: string) => {
    await using bus = await openBus({ servers: fleet.node("n1").localAddress ?? "" });
    // Output that is not waited for goes its own way, beside the result.
    ongoing(await ask(bus, "n1", "silent.exec", { command: ["echo", id] }, { id, waitMs: 0 }));
    assert.equal((await resultOf(bus, "n1", id)).state, "succeeded");
  };
  await run(ids[0] ?? "");
  await agent[Symbol.asyncDispose]();
  assert.deepEqual(await survivors({ groups: [], mark: serverMark(`${home}/leaf`) }), [], "its server went with it");
  await fleet.start(spec);
  await run(ids[1] ?? "");
  link.restore();
  for (const id of ids) {
    await until("its result", () => lastOf(fleet.admin, STREAM.results, storedResult(id, "n1")));
  }
  const results = await stored(fleet.admin, STREAM.results, [storedResults("*")]);
  assert.deepEqual(results.map((line) => line.split(" ")[0]), ids.map((id) => storedResult(id, "n1")));
});
