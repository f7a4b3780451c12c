import assert from "node:assert/strict";
import { until } from "../../tests/until.ts";
import { XtaskError } from "../protocol/error.ts";
import { lockFolder } from "./lock.ts";

async function inFolder(body: (dir: string) => Promise<void>): Promise<void> {
  const parent = await Deno.makeTempDir();
  try {
    await body(`${parent}/made/on/the/way`);
  } finally {
    await Deno.remove(parent, { recursive: true });
  }
}

Deno.test("a folder is locked once, by whom is told, and free again afterwards", async () => {
  await inFolder(async (dir) => {
    {
      using _lock = await lockFolder(dir, "An agent");
      await assert.rejects(lockFolder(dir, "An agent"), (error) => {
        assert.ok(error instanceof XtaskError && error.code === "conflict");
        assert.equal(error.message, `An agent already runs in ${dir} (process ${Deno.pid})`);
        return true;
      });
    }
    using _again = await lockFolder(dir, "An agent");
    if (Deno.build.os !== "windows") assert.equal(((await Deno.stat(dir)).mode ?? 0) & 0o777, 0o700);
  });
});

Deno.test(
  "the lock of a process that was killed is gone with it",
  { ignore: Deno.build.os === "windows" },
  async () => {
    await inFolder(async (dir) => {
      const script = `
      import { lockFolder } from ${JSON.stringify(import.meta.resolve("./lock.ts"))};
      globalThis.lock = await lockFolder(${JSON.stringify(dir)}, "An agent");
      setInterval(() => {}, 1_000);
    `;
      const config = new URL("../../deno.json", import.meta.url).pathname;
      const child = new Deno.Command(Deno.execPath(), { args: ["eval", "--config", config, "--ext=ts", script] })
        .spawn();
      try {
        // Asked of the file, since a lock that is tried here may be what the other process meets.
        await until(
          "the other process to lock",
          () => Deno.readTextFile(`${dir}/lock`).then((text) => text === `${child.pid}\n`, () => false),
        );
        await assert.rejects(lockFolder(dir, "An agent"), { message: new RegExp(`process ${child.pid}\\b`) });
      } finally {
        child.kill("SIGKILL");
        await child.status;
      }
      using _mine = await lockFolder(dir, "An agent");
    });
  },
);
