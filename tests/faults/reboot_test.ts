import assert from "node:assert/strict";
import { markOf, sendSignal, survivors } from "../../lib/os/processes.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { ask, ended, GATED, ongoing, resultOf, runsIn } from "../asking.ts";
import { temporaryFolder } from "../fleet.ts";
import { until } from "../until.ts";
import { resultsOf, startHubProcess, startNodeProcess } from "./ground.ts";

Deno.test("a machine restarts during a run, its hub away: the run is told as interrupted at once, and what waited arrives later", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const hub = await startHubProcess(stack, folder);
  const node = await startNodeProcess(stack, hub, folder, { id: "n1", leafPort: hub.leafPort, taskfile: GATED });
  await hub.kill();
  await hub.killServer();
  const waiting = newCommandId();
  const running = newCommandId();
  {
    const own = await node.connect();
    assert.equal(ended(await ask(own, "n1", "silent.exec", { command: ["true"] }, { id: waiting })).state, "succeeded");
    ongoing(await ask(own, "n1", "task.run", { args: ["gate"] }, { id: running, waitMs: 0 }));
    await until("the run to begin", async () => await runsIn(node.dir) === 1);
    await own[Symbol.asyncDispose]();
  }

  // All of a machine goes at once, in no order.
  const processes = await survivors({ groups: [], mark: markOf("n1", running) });
  assert.ok(processes.length > 0);
  await node.crash();
  for (const pid of processes) sendSignal(pid, "SIGKILL");

  await node.start();
  const begun = performance.now();
  const own = await node.connect();
  const result = await resultOf(own, "n1", running);
  assert.deepEqual([result.state, result.attempt], ["interrupted", 1]);
  assert.ok(performance.now() - begun < 5_000, "told within five seconds of the agent's return");
  await Deno.writeTextFile(`${node.dir}/open`, "");
  const again = ended(await ask(own, "n1", "task.run", { args: ["gate"] }, { id: running }));
  assert.equal(again.state, "interrupted", "the same id runs nothing");
  assert.equal(await runsIn(node.dir), 1);

  await hub.start();
  const both = [`${waiting}.n1`, `${running}.n1`];
  await until("both results", async () => {
    const results = await resultsOf(hub.admin);
    return both.every((one) => results.has(one));
  }, { timeoutMs: 30_000 });
  assert.deepEqual(await resultsOf(hub.admin), new Map(both.map((one) => [one, 1])));
});
