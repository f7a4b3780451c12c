import assert from "node:assert/strict";
import { bootId, startOf } from "./started.ts";

const UNIX = { ignore: Deno.build.os === "windows" };

Deno.test("the start of a process is its own and stays; what does not live has none", UNIX, async () => {
  const child = new Deno.Command("sleep", { args: ["60"] }).spawn();
  const first = await startOf(child.pid);
  assert.ok(first);
  assert.equal(await startOf(child.pid), first);
  assert.notEqual(first, await startOf(Deno.pid));
  child.kill("SIGKILL");
  await child.status;
  assert.equal(await startOf(child.pid), "");
});

Deno.test("a zombie does not live", { ignore: Deno.build.os !== "linux" }, async () => {
  // Its parent stops being a shell, which would bury it, before it ends.
  const parent = new Deno.Command("sh", { args: ["-c", "sleep 0.2 & echo $!; exec sleep 60"], stdout: "piped" })
    .spawn();
  const reader = parent.stdout.getReader();
  const zombie = Number(new TextDecoder().decode((await reader.read()).value));
  await reader.cancel();
  while (!/\) Z /.test(await Deno.readTextFile(`/proc/${zombie}/stat`))) await startOf(Deno.pid);
  assert.equal(await startOf(zombie), "");
  parent.kill("SIGKILL");
  await parent.status;
});

Deno.test("the machine's start is the same for everybody", { ignore: Deno.build.os !== "linux" }, async () => {
  assert.equal(await bootId(), (await Deno.readTextFile("/proc/sys/kernel/random/boot_id")).trim());
  assert.equal(await bootId("windows"), undefined);
});
