import assert from "node:assert/strict";
import { newCommandId } from "../../lib/protocol/id.ts";
import { ask, ended, GATED, ongoing, refused, resultOf, runsIn } from "../asking.ts";
import { startFleet, type TestFleet } from "../fleet.ts";
import { until } from "../until.ts";

/** Mounts a small file system of its own below the fleet's folder; undefined where that is not allowed. */
async function smallDisk(fleet: TestFleet, stack: AsyncDisposableStack): Promise<string> {
  const path = `${fleet.folder}/disk`;
  await Deno.mkdir(path);
  const { success, stderr } = await new Deno.Command("mount", {
    args: ["-t", "tmpfs", "-o", "size=2m", "tmpfs", path],
  }).output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
  stack.defer(async () => void await new Deno.Command("umount", { args: ["-l", path] }).output());
  return path;
}

/** Writes until there is no room. */
async function fill(path: string): Promise<void> {
  using file = await Deno.open(`${path}/filler`, { write: true, create: true, append: true });
  for (let size = 64 * 1024; size >= 1; size = Math.floor(size / 2)) {
    const bytes = new Uint8Array(size);
    for (let full = false; !full;) {
      // Whatever the error says: there is no room for so much.
      full = await file.write(bytes).then((written) => written === 0, () => true);
    }
  }
}

/** May this process mount? Root may, but not in every container. */
async function mayMount(): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  const args = ["--mount", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"];
  const { success } = await new Deno.Command("unshare", { args, stderr: "null" }).output().catch(() => ({
    success: false,
  }));
  return success;
}

Deno.test("a node whose disk is full refuses new work and says so, goes on with what runs, and recovers", {
  ignore: !await mayMount(),
}, async () => {
  await using fleet = await startFleet({ nodes: [] });
  await using stack = new AsyncDisposableStack();
  const disk = await smallDisk(fleet, stack);
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

  await Deno.remove(`${disk}/filler`);
  await Deno.writeTextFile(`${dir}/open`, "");
  assert.equal((await resultOf(admin, "n1", before)).state, "succeeded");
  const again = ended(await ask(admin, "n1", "task.run", gate, { id: refusedId }));
  assert.equal(again.state, "succeeded", "what was refused was not begun, and its id is free");
});
