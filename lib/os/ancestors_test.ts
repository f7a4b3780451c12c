import assert from "node:assert/strict";
import { ancestors } from "./ancestors.ts";

Deno.test("ancestors begin with the parent and name each process once", async () => {
  const found = await ancestors();
  // In a container a process from outside may have no parent there.
  assert.deepEqual(found.slice(0, 1), Deno.ppid === 0 ? [] : [Deno.ppid]);
  assert.equal(new Set(found).size, found.length);
  assert.ok(!found.includes(Deno.pid) && !found.includes(0));
});

Deno.test(
  "a grandchild's ancestors are its parent, this process and ours",
  { ignore: Deno.build.os === "windows" },
  async () => {
    const script = `
    import { ancestors } from ${JSON.stringify(import.meta.resolve("./ancestors.ts"))};
    Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(await ancestors())));
  `;
    const child = new Deno.Command("sh", {
      args: ["-c", '"$@"; exit $?', "sh", Deno.execPath(), "eval", "--no-config", "--ext=ts", script],
      stdout: "piped",
    }).spawn();
    const { stdout } = await child.output();
    assert.deepEqual(JSON.parse(new TextDecoder().decode(stdout)), [child.pid, Deno.pid, ...await ancestors()]);
  },
);
