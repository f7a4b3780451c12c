import assert from "node:assert/strict";
import { newCommandId } from "../../lib/protocol/id.ts";
import { ask, ongoing } from "../asking.ts";
import { temporaryFolder } from "../fleet.ts";
import { until } from "../until.ts";
import { resultsOf, startHubProcess, startNodeProcess } from "./ground.ts";

const EACH = 250;
/** Waits for the test, then leaves its id. */
const SCRIPT = 'while [ ! -e open ]; do sleep 0.05; done; echo "$0" >> ran';

Deno.test("a hub and its server are killed with 500 commands in flight: all run once meanwhile, and every result arrives once", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const hub = await startHubProcess(stack, folder);
  const nodes = [
    await startNodeProcess(stack, hub, folder, { id: "leaf", leafPort: hub.leafPort, slots: 4 }),
    await startNodeProcess(stack, hub, folder, { id: "client", slots: 4 }),
  ];
  const asked = await Promise.all(nodes.flatMap(({ id: node }) =>
    Array.from({ length: EACH }, async () => {
      const id = newCommandId();
      ongoing(await ask(hub.admin, node, "silent.exec", { command: ["sh", "-c", SCRIPT, id] }, { id, waitMs: 0 }));
      return { id, node };
    })
  ));

  await hub.kill();
  await hub.killServer();
  for (const { dir } of nodes) await Deno.writeTextFile(`${dir}/open`, "");
  const ranIn = async (dir: string) => (await Deno.readTextFile(`${dir}/ran`).catch(() => "")).trim().split("\n");
  for (const { id, dir } of nodes) {
    await until(`all commands of ${id} to have run`, async () => (await ranIn(dir)).length === EACH, {
      timeoutMs: 60_000,
    });
  }
  await hub.start();
  await until("every result", async () => (await resultsOf(hub.admin)).size === asked.length, { timeoutMs: 60_000 });
  const results = await resultsOf(hub.admin);
  assert.deepEqual(asked.map(({ id, node }) => results.get(`${id}.${node}`)), asked.map(() => 1));
  for (const { id: node, dir } of nodes) {
    const ids = asked.filter((one) => one.node === node).map(({ id }) => id);
    assert.deepEqual((await ranIn(dir)).sort(), ids.sort(), "each ran once");
  }
});
