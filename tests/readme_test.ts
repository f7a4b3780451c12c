/** The README's program, run as it stands there. */
import assert from "node:assert/strict";
import { startFleet } from "./fleet.ts";

Deno.test("the README's program runs a task on every node and prints what came of it", async () => {
  const readme = await Deno.readTextFile(new URL("../README.md", import.meta.url));
  const program = /```ts ignore\n([\s\S]*?)```/.exec(readme)?.[1];
  assert.ok(program !== undefined && program.includes("@xtask/xtask"), "the README has a program");
  await using fleet = await startFleet({ nodes: ["n1", "n2"] });
  const creds = `${fleet.folder}/admin.creds`;
  await Deno.writeTextFile(creds, fleet.up.adminCreds);
  const file = `${fleet.folder}/program.ts`;
  await Deno.writeTextFile(file, program.replace("@xtask/xtask", new URL("../mod.ts", import.meta.url).href));
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--config", new URL("../deno.json", import.meta.url).pathname, file],
    env: { NATS_URL: fleet.url, NATS_CREDS: creds },
  }).output();
  const printed = new TextDecoder().decode(stdout).trim().split("\n").sort();
  assert.equal(code, 0, new TextDecoder().decode(stderr));
  assert.deepEqual(printed.map((line) => line.replace(/from .*/, "from …")), [
    "n1 succeeded: Hello from …",
    "n2 succeeded: Hello from …",
  ]);
});
