import assert from "node:assert/strict";
import { newCommandId } from "../../lib/protocol/id.ts";
import { hubSubject } from "../../lib/protocol/subjects.ts";
import { ask, ended } from "../asking.ts";
import { temporaryFolder } from "../fleet.ts";
import { until } from "../until.ts";
import { startHubProcess, startNodeProcess } from "./ground.ts";

Deno.test("an agent whose journal was damaged by its disk comes up, tells what may be lost, and knows the rest", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const hub = await startHubProcess(stack, folder);
  const node = await startNodeProcess(stack, hub, folder, { id: "n1" });
  const ids = [newCommandId(), newCommandId()];
  const run = (id: string) => ask(hub.admin, "n1", "silent.exec", { command: ["sh", "-c", "echo >> ran"] }, { id });
  for (const id of ids) assert.equal(ended(await run(id)).state, "succeeded");
  await node.stop();
  const path = `${node.home}/agent/journal.sqlite`;
  const bytes = await Deno.readFile(path);
  const at = new TextDecoder("latin1").decode(bytes).indexOf(`"id":"${ids[0]}"`);
  bytes[at + 40]! ^= 1;
  await Deno.writeFile(path, bytes);

  await node.start();
  const alert = await until("the alert", async () => {
    const { alerts } = JSON.parse((await hub.admin.request(hubSubject("alert", "list"), "{}")).text());
    return alerts.find(({ message }: { message: string }) => /journal was damaged/.test(message));
  });
  assert.deepEqual([alert.node, alert.severity], ["n1", "critical"]);
  assert.match(alert.message, /1 records of runs are not what was written.*may run again.*damaged-/);
  assert.equal(ended(await run(ids[1] ?? "")).state, "succeeded", "what could be read is known");
  assert.equal(await Deno.readTextFile(`${node.dir}/ran`), "\n\n", "and not run again");
});
