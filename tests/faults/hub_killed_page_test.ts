import assert from "node:assert/strict";
import { startBrowser } from "../browser/browser.ts";
import { temporaryFolder } from "../fleet.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";

Deno.test("a hub is killed under an open page: the page says so, and goes on when it is back, without a reload", async () => {
  await using stack = new AsyncDisposableStack();
  const home = await temporaryFolder(stack);
  const start = async (...ports: string[]) => {
    const hub = stack.use(
      await spawnXtask(
        ["up", "--json", "--name", "n1", ...ports.flatMap((port, at) => [PORT_FLAGS[at] as string, port])],
        { home },
      ),
    );
    return { hub, said: await hub.ready() };
  };
  const first = await start("0", "0", "0");
  const { natsUrl = "", leafPort, httpUrl = "", loginUrl = "" } = first.said as Record<string, string>;
  await using browser = await startBrowser();
  await using tab = await browser.open(loginUrl);
  const { page, when, text } = tab;
  await when("document.documentElement.dataset.link === 'live' && document.querySelector('#node-n1') !== null");
  await page.evaluate("window.stays = true");

  first.hub.kill("SIGKILL");
  await first.hub.status;
  await when("document.documentElement.dataset.link === 'lost' && !document.querySelector('#lost').hidden");
  assert.match(await text("[data-link-text]"), /reconnecting/);
  assert.match(await text("#node-n1"), /n1/, "what was known stays in sight");

  await start(new URL(natsUrl).port, String(leafPort), new URL(httpUrl).port);
  await when("document.documentElement.dataset.link === 'live' && document.querySelector('#lost').hidden");
  assert.equal((await xtask(["which", "sh", "--on", "n1"], { home })).code, 0);
  assert.equal(await page.evaluate("window.stays"), true, "nothing was loaded again");
  await when("/1 of 1 nodes online/.test(document.querySelector('.status-line').textContent)");
});

const PORT_FLAGS = ["--nats-port", "--leaf-port", "--http-port"];
