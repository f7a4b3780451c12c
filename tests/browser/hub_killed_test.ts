import assert from "node:assert/strict";
import { copyProject, temporaryFolder } from "../fleet.ts";
import { portFlags } from "../free_ports.ts";
import { until } from "../until.ts";
import { spawnXtask } from "../xtask_process.ts";
import { violations } from "./axe.ts";
import { startBrowser } from "./browser.ts";

Deno.test("a hub that is killed and started again is seen on the page, which heals without a reload or a login", async () => {
  await using stack = new AsyncDisposableStack();
  const home = await temporaryFolder(stack);
  const dir = `${home}/project`;
  await copyProject(dir);
  const ports = portFlags();
  const start = async () => {
    const hub = stack.use(await spawnXtask(["up", "--json", "--name", "n1", ...ports], { home, cwd: dir }));
    return { hub, said: await hub.ready() };
  };
  const { hub, said } = await start();
  const { loginUrl = "" } = said;
  const browser = stack.use(await startBrowser());
  const { page, when } = stack.use(await browser.open(loginUrl));
  const linked = (link: string) => `document.documentElement.dataset.link === '${link}'`;
  await when(`${linked("live")} && document.querySelector('#node-n1') !== null`);
  await page.evaluate("window.stays = true");

  hub.kill("SIGKILL");
  await hub.status;
  await when(linked("lost"));
  assert.equal(await page.evaluate("document.querySelector('#lost').checkVisibility()"), true);
  assert.equal(await page.evaluate("document.querySelector('#over').checkVisibility()"), false);
  assert.deepEqual(await violations(page), []);

  await start();
  await until("the page to be live again", () => page.evaluate(linked("live")) as Promise<boolean>, {
    timeoutMs: 60_000,
  });
  assert.equal(await page.evaluate("window.stays && !document.querySelector('#lost').checkVisibility()"), true);
  const body = JSON.stringify({ command: "task run hello --on n1" });
  const asked =
    `fetch('/api/v1/tasks?wait=30000', { method: 'POST', headers: { 'content-type': 'application/json' }, body: ${
      JSON.stringify(body)
    } }).then((one) => one.json()).then(({ results }) => results[0].state)`;
  assert.equal(await page.evaluate(asked), "succeeded", "and it still may ask");
});
