import assert from "node:assert/strict";
import { ps } from "./ps.ts";

const UNIX = { ignore: Deno.build.os === "windows" };
const LINUX = { ignore: Deno.build.os !== "linux" };

Deno.test("the list of processes has this one", UNIX, async () => {
  const lines = await ps("-A", "-o", "pid=");
  assert.ok(lines?.some((line) => Number(line) === Deno.pid));
});

Deno.test("what ps does not understand is no list", UNIX, async () => {
  assert.equal(await ps("--no-such-option"), undefined);
});

/** What `code` prints as JSON in a process that may do everything but read `/proc`, with nothing on PATH. */
async function withoutProc(code: string): Promise<unknown> {
  const file = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    const here = JSON.stringify(new URL("./", import.meta.url).href);
    await Deno.writeTextFile(file, `const here = ${here};\n${code}`);
    const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--allow-read", "--allow-run", "--allow-env", "--allow-sys", file],
      env: { PATH: "/nowhere" },
    }).output();
    assert.equal(new TextDecoder().decode(stderr), "");
    return JSON.parse(new TextDecoder().decode(stdout));
  } finally {
    await Deno.remove(file);
  }
}

Deno.test(
  "a program that may not read /proc still ends what left its group, and knows its ancestors",
  LINUX,
  async () => {
    const said = await withoutProc(`
    const { endProcesses, findsStrays, survivors } = await import(here + "processes.ts");
    const { ancestors } = await import(here + "ancestors.ts");
    const run = { groups: [], mark: "n1." + crypto.randomUUID() };
    const env = { XTASK_RUN: run.mark };
    const stray = new Deno.Command("/usr/bin/setsid", { args: ["/bin/sleep", "60"], env }).spawn();
    let before = 0;
    while (before === 0) before = (await survivors(run)).length;
    const left = await endProcesses(run);
    const { signal } = await stray.status;
    console.log(JSON.stringify({ before, left, signal, finds: await findsStrays(), above: await ancestors() }));
  `) as { above: number[] };
    assert.deepEqual({ ...said, above: [] }, { before: 1, left: [], signal: "SIGTERM", finds: true, above: [] });
    assert.equal(said.above[0], Deno.pid);
    assert.ok(said.above.includes(Deno.ppid));
  },
);
