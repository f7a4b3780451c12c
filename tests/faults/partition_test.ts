import assert from "node:assert/strict";
import { newCommandId } from "../../lib/protocol/id.ts";
import { PRESENCE_MS } from "../../lib/protocol/limits.ts";
import { eventSubject, hubSubject, statusSubject } from "../../lib/protocol/subjects.ts";
import { ask, GATED, hear, ongoing, runsIn } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { resultsOf } from "./ground.ts";
import { relayTo } from "./relay.ts";

Deno.test("a node is cut off from its hub during a run", async (t) => {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(await startFleet({ nodes: [], taskfile: GATED }));
  const { admin, up } = fleet;
  const link = stack.use(relayTo(up.server.leafPort ?? 0));
  await fleet.start({ id: "n1", leaf: { port: link.port } });
  const { dir } = fleet.node("n1");
  const known = () => up.hub.fleet.get("n1");
  await until("the node at the hub", () => known()?.state === "online");
  using left = await hear(admin, eventSubject("default", "node_left"));
  const id = newCommandId();
  ongoing(await ask(admin, "n1", "task.run", { args: ["gate"] }, { id, waitMs: 0 }));
  await until("the run to begin", async () => await runsIn(dir) === 1);

  await t.step("for less than its presence: nothing is told, and nothing happens to the run", async () => {
    link.cut();
    const reached = () => admin.request(statusSubject("n1"), "", { timeoutMs: 500 }).then(() => true, () => false);
    await until("the node to be out of reach", async () => !await reached());
    const before = known()?.seenAt;
    link.restore();
    await until("it to be heard and reached again", async () => known()?.seenAt !== before && await reached(), {
      timeoutMs: PRESENCE_MS,
    });
    assert.equal(left.messages.length, 0);
    ongoing(await ask(admin, "n1", "run.status", { id }));
  });

  await t.step("for longer: it is told as late, runs on, and its one result is applied when it is back", async () => {
    link.cut();
    await until("the node to be late", () => known()?.state === "offline", { timeoutMs: 4 * PRESENCE_MS });
    const listed = await admin.request(hubSubject("alert", "list"), "{}");
    const alerts = JSON.parse(listed.text()).alerts.map(({ key }: { key: string }) => key);
    assert.ok(alerts.includes("node_away.n1"), `told of: ${alerts}`);
    await Deno.writeTextFile(`${dir}/open`, "");
    await until("the run to end", async () => await Deno.readTextFile(`${dir}/ends`).catch(() => "") !== "");
    assert.equal((await resultsOf(admin)).size, 0);
    link.restore();
    await until("the result", async () => (await resultsOf(admin)).size === 1, { timeoutMs: 30_000 });
    await until("the node to be back", () => known()?.state === "online", { timeoutMs: 30_000 });
    await until(
      "the alert to be over",
      async () => !(await admin.request(hubSubject("alert", "list"), "{}")).text().includes("node_away.n1"),
    );
    assert.deepEqual([[...(await resultsOf(admin)).entries()], await runsIn(dir)], [[[`${id}.n1`, 1]], 1]);
    await until("the hub to know its state", () => up.hub.commands.get(id)?.runs.n1?.state === "succeeded");
  });
  // Before the link goes: it would wait for it.
  await fleet[Symbol.asyncDispose]();
});
