import assert from "node:assert/strict";
import { startFleet } from "../fleet.ts";
import { startBrowser } from "./browser.ts";

const linked = (link: string) => `document.documentElement.dataset.link === '${link}'`;
const shown = (selector: string) => `document.querySelector('${selector}').checkVisibility()`;

Deno.test("a session that is over is told on every tab, and heals by logging in again", async () => {
  await using fleet = await startFleet({ nodes: ["n1"] });
  await using browser = await startBrowser();
  await using tab = await browser.open(fleet.up.http.loginLink());
  await tab.when(linked("live"));
  await using other = await browser.open(`${fleet.up.http.url}/commands`);
  await other.when(linked("live"));
  for (const { page } of [tab, other]) await page.evaluate("window.stays = true");

  const logout =
    "fetch('/logout', {method: 'POST', headers: {'content-type': 'application/json'}}).then((one) => one.status)";
  assert.equal(await other.page.evaluate(logout), 204);
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
