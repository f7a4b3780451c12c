import assert from "node:assert/strict";
import { XtaskError } from "../../lib/protocol/error.ts";
import { hubSubject } from "../../lib/protocol/subjects.ts";
import type { Bus } from "../../lib/nats/bus.ts";
import { ask, ended } from "../asking.ts";
import { temporaryFolder } from "../fleet.ts";
import { until } from "../until.ts";
import { resultsOf, startHubProcess, startNodeProcess } from "./ground.ts";
import { fill, mayMount, smallDisk } from "./small_disk.ts";

/** Keys of the alerts that are open, with their messages; undefined while the hub is not back at a server that was restarted. */
async function alerts(bus: Bus): Promise<Map<string, string> | undefined> {
  try {
    const { alerts } = JSON.parse((await bus.request(hubSubject("alert", "list"), "{}")).text());
    return new Map(alerts.map(({ key, message }: { key: string; message: string }) => [key, message]));
  } catch (error) {
    if (XtaskError.from(error).code !== "unavailable") throw error;
    return undefined;
  }
}

const POSSIBLE = { ignore: !await mayMount() };

Deno.test(
  "the disk of a hub's store is full: nothing is acknowledged, it is told, and with room again all arrives once",
  POSSIBLE,
  async () => {
    await using stack = new AsyncDisposableStack();
    const folder = await temporaryFolder(stack);
    const disk = await smallDisk(stack, `${folder}/disk`, 16);
    const hub = await startHubProcess(stack, disk);
    const nodes = [
      await startNodeProcess(stack, hub, folder, { id: "client" }),
      await startNodeProcess(stack, hub, folder, { id: "leaf", leafPort: hub.leafPort }),
    ];
    const ids: string[] = [];
    const work = async () => {
      for (const { id: node } of nodes) {
        const { id } = ended(await ask(hub.admin, node, "silent.exec", { command: ["true"] }));
        ids.push(`${id}.${node}`);
      }
    };
    await work();
    await until("the first results", async () => (await resultsOf(hub.admin)).size === ids.length);
    await fill(disk);
    await work();
    const told = await until("the alert", async () => {
      await fill(disk);
      return (await alerts(hub.admin))?.get("write_failing.store.hub");
    }, { timeoutMs: 30_000 });
    assert.match(told, /The hub's store cannot be written \(no space left on device\)/);
    await work();

    await Deno.remove(`${disk}/filler`);
    await until("every result", async () => {
      const results = await resultsOf(hub.admin).catch((error) => {
        assert.ok(error instanceof XtaskError);
        return new Map<string, number>();
      });
      return results.size === ids.length;
    }, { timeoutMs: 60_000 });
    const results = await resultsOf(hub.admin);
    assert.deepEqual(ids.map((one) => results.get(one)), ids.map(() => 1));
    await until("the alert to be over", async () => {
      return (await alerts(hub.admin))?.has("write_failing.store.hub") === false;
    });
    await work();
  },
);

Deno.test(
  "the disk of a leaf node's store is full: it is told, reports wait in the journal, and with room again all arrives once",
  POSSIBLE,
  async () => {
    await using stack = new AsyncDisposableStack();
    const folder = await temporaryFolder(stack);
    const hub = await startHubProcess(stack, folder);
    const disk = await smallDisk(stack, `${folder}/n1/agent/leaf`, 16);
    const node = await startNodeProcess(stack, hub, folder, { id: "n1", leafPort: hub.leafPort });
    const ids: string[] = [];
    const work = async () => {
      const { id, state } = ended(await ask(hub.admin, "n1", "silent.exec", { command: ["true"] }));
      assert.equal(state, "succeeded");
      ids.push(`${id}.n1`);
    };
    await work();
    const told = await until("the alert", async () => {
      await fill(disk);
      await work();
      return (await alerts(hub.admin))?.get("write_failing.store.n1");
    }, { timeoutMs: 60_000 });
    assert.match(told, /The store of n1's own server cannot be written \(no space left on device\)/);
    await work();

    await Deno.remove(`${disk}/filler`);
    await until("every result", async () => (await resultsOf(hub.admin)).size === ids.length, { timeoutMs: 60_000 });
    assert.ok([...(await resultsOf(hub.admin)).values()].every((count) => count === 1));
    await until("the alert to be over", async () => {
      return (await alerts(hub.admin))?.has("write_failing.store.n1") === false;
    }, { timeoutMs: 30_000 });
    assert.match(node.stderrText(), /its store cannot be written/);
  },
);
