import assert from "node:assert/strict";
import { newCommandId } from "../../lib/protocol/id.ts";
import { QUEUE_MAX } from "../../lib/protocol/limits.ts";
import { nodeControlSubject, runSubject } from "../../lib/protocol/subjects.ts";
import { ask, ended, GATED, ongoing, refused, resultOf, runsIn } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

const gate = { args: ["gate"] };

Deno.test("a node runs as many commands at once as it has slots, and the rest in order", async (t) => {
  await using fleet = await startFleet({ nodes: [{ id: "n1", slots: 2 }, { id: "n2", slots: 1 }], taskfile: GATED });
  const { admin } = fleet;

  await t.step("two slots run two of five; the record says so", async () => {
    const { dir } = fleet.node("n1");
    const ids = Array.from({ length: 5 }, () => newCommandId());
    for (const id of ids) ongoing(await ask(admin, "n1", "task.run", gate, { id, waitMs: 0 }));
    await until("two to run", async () => await runsIn(dir) === 2);
    const { slots, queued, state, running } = await fleet.record("n1");
    assert.deepEqual([slots, queued, state], [{ total: 2, free: 0 }, 3, "busy"]);
    assert.deepEqual([...running].sort(), [...ids].sort());
    await until("the hub to see it", () => fleet.up.hub.fleet.get("n1")?.queued === 3);
    assert.equal(await runsIn(dir), 2, "no third one has begun meanwhile");
    await Deno.writeTextFile(`${dir}/open`, "");
    for (const id of ids) assert.equal((await resultOf(admin, "n1", id)).state, "succeeded");
    const order = (await Deno.readTextFile(`${dir}/runs`)).trim().split("\n");
    assert.deepEqual(order.slice().sort(), ids.slice().sort(), "each ran once");
    await until("the slots to be free", async () => (await fleet.record("n1")).slots.free === 2);
    assert.equal((await fleet.record("n1")).state, "online");
  });

  await t.step("one slot runs one after the other, in the order of asking", async () => {
    const { dir } = fleet.node("n2");
    await Deno.writeTextFile(`${dir}/open`, "");
    const ids = Array.from({ length: 4 }, () => newCommandId());
    for (const id of ids) await ask(admin, "n2", "task.run", gate, { id, waitMs: 0 });
    for (const id of ids) assert.equal((await resultOf(admin, "n2", id)).state, "succeeded");
    // Each line holds how many had begun when that one ended.
    const ends = (await Deno.readTextFile(`${dir}/ends`)).trim().split("\n").map((line) => line.split(/\s+/));
    assert.deepEqual(ends, ids.map((id, at) => [id, String(at + 1)]));
    await Deno.remove(`${dir}/open`);
  });

  await t.step("what only reads needs no slot", async () => {
    const id = newCommandId();
    ongoing(await ask(admin, "n2", "task.run", gate, { id, waitMs: 0 }));
    await until("the slot to be taken", async () => (await fleet.record("n2")).slots.free === 0);
    assert.equal(ended(await ask(admin, "n2", "which.check", { names: ["sh"] })).state, "succeeded");
    await Deno.writeTextFile(`${fleet.node("n2").dir}/open`, "");
    assert.equal((await resultOf(admin, "n2", id)).state, "succeeded");
    await Deno.remove(`${fleet.node("n2").dir}/open`);
  });

  await t.step("a full queue refuses one more, and takes it when there is room again", async () => {
    const { dir } = fleet.node("n2");
    const before = await runsIn(dir);
    const first = newCommandId();
    ongoing(await ask(admin, "n2", "task.run", gate, { id: first, waitMs: 0 }));
    await until("the slot to be taken", async () => await runsIn(dir) === before + 1);
    const waiting = Array.from({ length: QUEUE_MAX }, () => newCommandId());
    const command = { command: ["true"] };
    await Promise.all(waiting.map((id) => ask(admin, "n2", "silent.exec", command, { id, waitMs: 0 })));
    assert.equal((await fleet.record("n2")).queued, QUEUE_MAX);
    await refused(ask(admin, "n2", "silent.exec", command), "exhausted", new RegExp(`${QUEUE_MAX} commands waiting`));
    const cancel = async (id: string): Promise<string> => {
      const answer = await admin.request(runSubject("n2", "cancel"), JSON.stringify({ id }), { timeoutMs: 15_000 });
      return JSON.parse(answer.text()).outcome;
    };
    assert.deepEqual([...new Set(await Promise.all(waiting.map(cancel)))], ["cancelled"]);
    await Deno.writeTextFile(`${dir}/open`, "");
    assert.equal((await resultOf(admin, "n2", first)).state, "succeeded");
    assert.equal(ended(await ask(admin, "n2", "silent.exec", command)).state, "succeeded");
  });
});

Deno.test("a draining node ends what it runs and takes nothing new until it is resumed", async () => {
  await using fleet = await startFleet({ taskfile: GATED });
  const { admin } = fleet;
  const { dir, agent } = fleet.node("n1");
  const control = (verb: "drain" | "resume") => admin.request(nodeControlSubject("n1", verb), "");
  const id = newCommandId();
  ongoing(await ask(admin, "n1", "task.run", gate, { id, waitMs: 0 }));
  assert.equal(JSON.parse((await control("drain")).text()).state, "draining");
  await until("the hub to know", () => fleet.up.hub.fleet.get("n1")?.state === "draining");
  await refused(ask(admin, "n1", "task.run", gate), "unavailable", /draining[^]*resume/);
  await refused(ask(admin, "n1", "which.check", { names: ["sh"] }), "unavailable");
  assert.equal(ongoing(await ask(admin, "n1", "run.status", { id })).state, "running", "what runs goes on");
  await Deno.writeTextFile(`${dir}/open`, "");
  assert.equal((await resultOf(admin, "n1", id)).state, "succeeded");

  await agent[Symbol.asyncDispose]();
  await until("the node to have left", () => fleet.up.hub.fleet.get("n1")?.state === "offline");
  await fleet.start("n1");
  await refused(ask(admin, "n1", "task.run", gate), "unavailable", /draining/);
  assert.equal(JSON.parse((await control("resume")).text()).state, "online");
  assert.equal(ended(await ask(admin, "n1", "task.run", gate)).state, "succeeded");
});
