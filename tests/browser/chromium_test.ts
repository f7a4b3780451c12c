import assert from "node:assert/strict";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "../../scripts/chromium.ts";
import { until } from "../until.ts";

const ROOT = new URL("../../", import.meta.url);
const SCRIPT = fileURLToPath(new URL("scripts/chromium.ts", ROOT));
const BROWSE = `
  import { startBrowser } from "./tests/browser/browser.ts";
  await using browser = await startBrowser();
  await using tab = await browser.open("data:text/html,<title>open</title>");
  console.log(await tab.page.title());`;

Deno.test("several start a browser at once on an empty cache, after one was killed while it unpacked", async () => {
  await chromium();
  const cache = await Deno.makeTempDir();
  try {
    // What the package itself would take for a browser.
    await Deno.writeTextFile(join(cache, "chromium"), "half", { mode: 0o700 });
    const env = { XTASK_CACHE: cache, TMPDIR: cache };
    const start = (args: string[]) =>
      new Deno.Command(Deno.execPath(), { args, env, cwd: ROOT, stdin: "null", stdout: "piped", stderr: "piped" })
        .spawn();

    const killed = start(["run", "-A", "--cached-only", SCRIPT]);
    const folder = join(cache, "browser");
    const bytes = await until("some of the browser", async () => {
      const [half] = await Array.fromAsync(Deno.readDir(folder)).then((all) =>
        all.filter(({ name }) => name.startsWith("unpack-"))
      ).catch(() => []);
      const size = half && (await Deno.stat(join(folder, half.name, "chromium")).catch(() => undefined))?.size;
      return size !== undefined && size > 0 && size;
    });
    killed.kill("SIGKILL");
    await killed.output();
    assert.ok(bytes < (await Deno.stat(await chromium())).size, `${bytes} are all of it`);

    const ended = await Promise.all(
      [1, 2, 3].map(() => start(["eval", "--cached-only", "--ext=ts", BROWSE]).output()),
    );
    for (const { success, stdout, stderr } of ended) {
      assert.ok(success, new TextDecoder().decode(stderr));
      assert.equal(new TextDecoder().decode(stdout).trim(), "open");
    }
    const left = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name).sort();
    assert.equal(left.length, 2, left.join(", "));
    assert.match(left.join(" "), /^chromium@\S+ lock$/);
  } finally {
    await Deno.remove(cache, { recursive: true });
  }
});
