import assert from "node:assert/strict";
import { until } from "../until.ts";
import { ENDED, ground, LIVE, run } from "./ground.ts";

Deno.test("what is wrong is told, seen by somebody and then quiet; counts stand in the title", async () => {
  await using all = await ground();
  const { fleet, browser, tab: { page, when, text } } = all;
  const { origin } = new URL(fleet.up.http.url);
  await using other = await browser.open(`${origin}/alerts`);
  await other.when("/Nothing is wrong/.test(document.querySelector('#alerts').textContent)");
  await page.goto(`${origin}/alerts`);
  await fleet.up.hub.alert("critical", "The disk <b>of the hub</b> is full");
  await when("document.title.startsWith('(!1) ') && document.querySelector('#alerts-badge').textContent[0] === '1'");
  assert.match(await text(".alert-message"), /The disk <b>of the hub<\/b> is full/);
  await page.click("[data-post$=mute]");
  await when("/muted by/.test(document.querySelector('.alert').textContent) && !document.title.startsWith('(')");
  await page.click("[data-post$=unmute]");
  await when("document.title.startsWith('(!1) ')");
  await page.click("[data-post$=ack]");
  await when("document.querySelector('.alert') === null");
  await other.when("document.querySelector('.alert') === null && document.querySelector('#alerts-badge').hidden");
  await page.goto(`${origin}/alerts?all=1`);
  await when("/seen by/.test(document.querySelector('.alert')?.textContent)");
});

Deno.test("people tell each other something, and see what the others ask", async () => {
  await using all = await ground();
  const { fleet, browser, tab } = all;
  const { page, when, text } = tab;
  const { origin } = new URL(fleet.up.http.url);
  await using other = await browser.open(`${origin}/team`);
  await other.when(LIVE);
  await page.goto(`${origin}/team`);
  await when(LIVE);
  await page.type(".note-form textarea", "I take <i>n1</i> down");
  await page.select(".note-form select", "global");
  await page.click(".note-form button");
  for (const one of [tab, other]) {
    await one.when("/I take <i>n1<.i> down/.test(document.querySelector('.note')?.textContent)");
    await one.when("/I take/.test(document.querySelector('#announcement:not([hidden])')?.textContent)");
  }
  await when("/page.*2 tabs/.test(document.querySelector('#here').textContent)");
  await page.click("[data-close-announcement]");
  await page.goto(origin);
  await when(`${LIVE} && document.querySelector('#announcement').hidden`);
  await run(tab, "task run hello --on n2");
  await when(ENDED);
  assert.match(await text(".line"), /^xtask task run hello --on n2/);
  await other.when("/task run hello/.test(document.querySelector('#asked').textContent)");
  await other.page.click("[data-open-console]");
  await other.when("/task run hello --on n2/.test(document.querySelector('#console-list li').textContent)");
  await other.page.keyboard.press("ArrowDown");
  await other.page.keyboard.press("Enter");
  await other.page.keyboard.press("Enter");
  await other.when(`location.pathname.startsWith('/commands/')`);
  await other.when(ENDED);
});

Deno.test("a form made of a verb's definition says which nodes are meant, and runs it there", async () => {
  await using all = await ground();
  const { fleet, tab: { page, when, text } } = all;
  const { origin } = new URL(fleet.up.http.url);
  await page.goto(`${origin}/run`);
  await when("/Says hello.*2 nodes/.test(document.querySelector('#offered').textContent)");
  await page.goto(`${origin}/nodes/n2`);
  await when(`${LIVE} && document.querySelector("a[href='/run/silent/exec?on=n2']") !== null`);
  await page.click("a[href='/run/silent/exec?on=n2']");
  await when("document.querySelector('[data-target-meant]')?.textContent === 'Runs on 1 noden2'");
  await page.type("textarea[name=command]", 'sh\n-c\necho "to <b>$A</b>"; exit 3');
  await page.type("textarea[name=env]", "A B=c");
  await page.click(".verb-form button.run");
  await when("/400|env|NAME/.test(document.querySelector('.verb-form .problem:not([hidden])')?.textContent)");
  await page.$eval("textarea[name=env]", (field) => (field as unknown as { value: string }).value = "A=x=y");
  await page.$eval("[data-target]", (field) => (field as unknown as { value: string }).value = "");
  await page.type("[data-target]", "id=nosuch");
  await when("/Runs nowhere now/.test(document.querySelector('[data-target-meant]').textContent)");
  await page.$eval("[data-target]", (field) => (field as unknown as { value: string }).value = "n1");
  await page.click(".verb-form button.run");
  await when(`location.pathname.startsWith('/commands/') && ${ENDED}`);
  assert.match(await text(".command-head"), /failed/);
  await when("/to <b>x=y<.b>/.test(document.querySelector('#log').textContent)");
});

Deno.test("what nodes measured is drawn, under the page's strict policy, and goes on", async () => {
  await using all = await ground();
  const { fleet, tab, tab: { page, when, text } } = all;
  const { origin } = new URL(fleet.up.http.url);
  await page.goto(`${origin}/charts?range=15m`);
  await when("document.querySelectorAll('#charts canvas').length === 6");
  assert.match(await text("[data-charts-status]"), /^2 nodes, a point for every 15 s$/);
  // A node measures itself every 10 s, and two samples make a point of a step of 15 s.
  const label = "document.querySelector('[data-chart=memoryPercent] .plot').ariaLabel";
  await until("a point of each node", async () => /n1: \d.*n2: \d/.test(await page.evaluate(label) as string), {
    timeoutMs: 60_000,
  });
  await when("/n2.*%.*of/.test(document.querySelector('#measured-n2').textContent)");
  await page.goto(`${origin}/charts?select=n2`);
  await when("/^1 node,/.test(document.querySelector('[data-charts-status]').textContent)");
  assert.doesNotMatch(await text("#charts"), /n1/);
  assert.deepEqual(tab.troubles, []);
  await page.goto(`${origin}/charts?select=%3D`);
  await when("!document.querySelector('[data-charts-problem]').hidden");
});
