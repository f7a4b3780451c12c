import assert from "node:assert/strict";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { startBrowser } from "./browser.ts";

const linked = (link: string) => `document.documentElement.dataset.link === '${link}'`;
const LOGOUT =
  "fetch('/logout', {method: 'POST', headers: {'content-type': 'application/json'}}).then((one) => one.status)";
const shown = (selector: string) => `document.querySelector('${selector}').checkVisibility()`;

Deno.test("a session that is over is told on every tab, and heals by logging in again", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  await using browser = await startBrowser();
  await using tab = await browser.open(fleet.up.http.loginLink());
  await tab.when(linked("live"));
  await using other = await browser.open(`${fleet.up.http.url}/commands`);
  await other.when(linked("live"));
  for (const { page } of [tab, other]) await page.evaluate("window.stays = true");

  assert.equal(await other.page.evaluate(LOGOUT), 204);
  for (const { page, when, text } of [tab, other]) {
    await when(linked("over"));
    assert.deepEqual(await page.evaluate(`[${shown("#over")}, ${shown("#lost")}]`), [true, false]);
    assert.match(await text("#over"), /You are logged out here.*xtask ui --open/s);
    assert.equal(await text("[data-link-text]"), "logged out");
  }
  const asked = "performance.getEntriesByType('resource').filter(({ name }) => /\\/events\\?/.test(name)).length";
  const before = await tab.page.evaluate(asked);

  await using again = await browser.open(fleet.up.http.loginLink());
  await again.when(linked("live"));
  assert.equal(await tab.page.evaluate(asked), before, "a page that is logged out asks no more by itself");
  for (const { page, when } of [tab, other]) {
    await page.evaluate("dispatchEvent(new Event('focus'))");
    await when(linked("live"));
    assert.deepEqual(await page.evaluate(`[window.stays, ${shown("#over")}]`), [true, false]);
  }
});

Deno.test("output that was followed when the session ended is followed again after logging in", async () => {
  const taskfile = JSON.stringify({
    version: "3",
    tasks: { ticks: { cmds: ["while true; do echo tick; sleep 0.05; done"], silent: true } },
  });
  await using fleet = await startFleet({ nodes: ["n1"], taskfile });
  await using browser = await startBrowser();
  const { url, loginLink } = fleet.up.http;
  const api = { authorization: `Bearer ${fleet.up.token}`, "content-type": "application/json" };
  const post = async (path: string, body: unknown) => {
    const answer = await fetch(`${url}/api/v1${path}`, { method: "POST", headers: api, body: JSON.stringify(body) });
    return await answer.json();
  };
  const { id } = await post("/tasks", { command: "task run ticks --on n1" });
  {
    await using first = await browser.open(loginLink());
    await first.when(linked("live"));
  }
  await using tab = await browser.open(`${url}/commands/${id}`);
  const lines = "document.querySelectorAll('#log li').length";
  await tab.when(`${linked("live")} && ${lines} > 5`);
  let refused = false;
  tab.page.on("response", (answer) => {
    refused ||= answer.status() === 401 && /\/log\/events/.test(answer.url());
  });
  await tab.page.evaluate(LOGOUT);
  await tab.when(linked("over"));
  await until("the output's stream to be refused", () => refused);
  const before = await tab.page.evaluate(lines);
  await using again = await browser.open(loginLink());
  await again.when(linked("live"));
  await tab.page.evaluate("dispatchEvent(new Event('focus'))");
  await tab.when(`${linked("live")} && ${lines} > ${before} + 5`);
  await post(`/commands/${id}/cancel`, {});
});
