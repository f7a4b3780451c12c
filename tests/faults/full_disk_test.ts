import assert from "node:assert/strict";
import { newCommandId } from "../../lib/protocol/id.ts";
import { hubSubject } from "../../lib/protocol/subjects.ts";
import { ask, ended, GATED, ongoing, refused, resultOf, runsIn } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { fill, mayMount, smallDisk } from "./small_disk.ts";

Deno.test("a node whose disk is full refuses new work and says so, goes on with what runs, and recovers", {
  ignore: !await mayMount(),
}, async () => {
  await using fleet = await startFleet({ nodes: [] });
  await using stack = new AsyncDisposableStack();
  const disk = await smallDisk(stack, `${fleet.folder}/disk`, 2);
  const { dir, agent } = await fleet.start({ id: "n1", home: `${disk}/agent` });
  stack.use(agent);
  const { admin } = fleet;
  const gate = { args: ["gate"] };
  await Deno.writeTextFile(`${dir}/Taskfile.yml`, GATED);

  const before = newCommandId();
  ongoing(await ask(admin, "n1", "task.run", gate, { id: before, waitMs: 0 }));
  await until("the run to begin", async () => await runsIn(dir) === 1);
  await fill(disk);

  // The journal has some room of its own left; it is used up within a few commands.
  const refusal = await until("the node to refuse", async () => {
    const id = newCommandId();
    return await ask(admin, "n1", "task.run", gate, { id, waitMs: 0 }).then(async () => {
      await fill(disk);
      return undefined;
    }, (error) => error as unknown);
  });
  await refused(Promise.reject(refusal), "exhausted", /journal cannot be written[^]*free some space/);
  const refusedId = newCommandId();
  await refused(ask(admin, "n1", "task.run", gate, { id: refusedId }), "exhausted");
  assert.equal(ended(await ask(admin, "n1", "which.check", { names: ["sh"] })).state, "succeeded", "it still answers");
  assert.equal(ongoing(await ask(admin, "n1", "run.status", { id: before })).state, "running");

  const alert = async () =>
    /The journal of n1 cannot be written[^"]*it takes no new commands/.test(
      (await admin.request(hubSubject("alert", "list"), "{}")).text(),
    );
  await until("the alert", alert, { timeoutMs: 30_000 });

  await Deno.remove(`${disk}/filler`);
  await Deno.writeTextFile(`${dir}/open`, "");
  assert.equal((await resultOf(admin, "n1", before)).state, "succeeded");
  const again = ended(await ask(admin, "n1", "task.run", gate, { id: refusedId }));
  assert.equal(again.state, "succeeded", "what was refused was not begun, and its id is free");
  await until("the alert to be over", async () => !await alert(), { timeoutMs: 30_000 });
});
