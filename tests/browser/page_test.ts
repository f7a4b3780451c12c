import assert from "node:assert/strict";
import { sendNote } from "../../lib/client/team.ts";
import { ENDED, ground, LINES, LIVE, run } from "./ground.ts";

Deno.test("people see the fleet, run something from the keyboard, and follow it", async (t) => {
  await using all = await ground();
  const { fleet, browser, tab } = all;
  const { page, when, text } = tab;
  const { origin } = new URL(fleet.up.http.url);

  await t.step("the fleet is there, live, under a strict policy and without a complaint", async () => {
    await when("document.querySelectorAll('.card.node').length === 2");
    assert.match(await text(".status-line"), /2 of 2 nodes online/);
    assert.match(await text("#node-n1"), /room=<b>'"/, "what nodes call themselves is text");
    assert.deepEqual(tab.troubles, []);
  });

  await t.step("search and selector stand in the address", async () => {
    await page.goto(`${origin}/?search=n2`);
    await when("document.querySelectorAll('.card.node').length === 1 && document.querySelector('#node-n2') !== null");
    await page.goto(`${origin}/?select=os%3Dnowhere`);
    await when("/No node matches/.test(document.querySelector('#fleet').textContent)");
    await page.goto(`${origin}/?as=map`);
    await when("document.querySelectorAll('.topology .link-online a').length === 2");
    await page.goto(`${origin}/?select=%3D`);
    await when("document.querySelector('#fleet .problem') !== null");
  });

  await t.step("the console completes, says what is meant, and runs it", async () => {
    await page.goto(origin);
    await when(LIVE);
    await run(tab, "task run hello --on all");
    await when(ENDED);
    assert.match(await text(".command-head"), /succeeded2 of 2 runs ended/);
    await when(`${LINES} === 1 && /hello/.test(document.querySelector('#log').textContent)`);
  });

  await t.step("a second tab sees what the first one asks, without a reload", async () => {
    await using other = await browser.open(`${origin}/commands`);
    await other.when(LIVE);
    await page.goto(origin);
    await run(tab, "which sh --on n1");
    await other.when("/which check sh/.test(document.querySelector('#commands').textContent)");
    assert.deepEqual(other.troubles, []);
  });

  await t.step("output comes live; who scrolls up stays there, and may follow again", async () => {
    await page.goto(origin);
    await when(LIVE);
    await run(tab, "task run ticks --on n1");
    await when(`${LINES} > 20`);
    await page.keyboard.press("f");
    await when("document.querySelector('[data-log=follow]').getAttribute('aria-pressed') === 'false'");
    const shown = await page.evaluate(LINES) as number;
    await when("/\\d+ new lines/.test(document.querySelector('[data-log=resume]').textContent)");
    assert.equal(await page.evaluate(LINES), shown);
    await page.keyboard.press("f");
    await when(`${LINES} > ${shown}`);
    await page.click("[data-post$=cancel]");
    await when(ENDED);
    assert.match(await text(".command-head"), /cancelled/);
  });

  await t.step("a long output is searched, and opened at a line by its address", async () => {
    await page.goto(origin);
    await when(LIVE);
    await run(tab, "task run lines --on n1");
    await when("/of 5000, ended/.test(document.querySelector('[data-log-status]').textContent)");
    assert.ok(await page.evaluate(LINES) as number <= 2_000, "no more lines than the window holds");
    await page.focus("[data-log-search]");
    await page.keyboard.type("line 77");
    await when("/1 of 11$/.test(document.querySelector('[data-log-found]').textContent)");
    await when("document.querySelector('#L77.hit') !== null");
    await page.keyboard.press("Enter");
    await when("document.querySelector('#L770.hit') !== null");
    await page.goto(
      `${await page.evaluate("location.pathname") as string === "" ? origin : origin}${await page.evaluate(
        "location.pathname",
      )}#L2500-L2502`,
    );
    await page.reload();
    await when("document.querySelectorAll('#log li.meant').length === 3 && document.querySelector('#L2500') !== null");
  });

  await t.step("whatever a task writes stays text", async () => {
    await page.goto(origin);
    await when(LIVE);
    await run(tab, "task run hostile --on n1");
    await when(`${ENDED} && /done/.test(document.querySelector('#log').textContent)`);
    assert.equal(await page.evaluate("window.owned"), undefined);
    assert.match(await text("#L1"), /<script>window\.owned=1<\/script>/);
    assert.equal(await page.$eval("#L2 .ink-1", (element) => (element as { textContent: string }).textContent), "red");
    assert.equal(await page.$("#log img"), null);
  });

  await t.step("where there is nothing, a page says so, by the same strict policy", async () => {
    await using lost = await browser.open(`${origin}/nodes/nosuch`);
    assert.match(await lost.text("h1"), /There is no node 'nosuch'/);
    assert.equal(await lost.page.evaluate("getComputedStyle(document.querySelector('.brand')).fontWeight"), "700");
    assert.deepEqual(lost.troubles.filter((one) => !/status of 404/.test(one)), []);
  });

  await t.step("what is no command is refused where it was typed, with what to do", async () => {
    await page.goto(origin);
    await when(LIVE);
    await page.click("[data-open-console]");
    await page.keyboard.type("reboot everything");
    await page.keyboard.press("Enter");
    await when("!document.querySelector('#console-problem').hidden");
    assert.match(await text("#console-problem"), /a command begins with one of/);
  });
  assert.deepEqual(tab.troubles.filter((one) => !/status of 400/.test(one)), []);
});

Deno.test("a node that goes and another that comes are seen without a reload", async () => {
  await using all = await ground();
  const { fleet, tab: { page, when } } = all;
  await page.evaluate("window.stays = true");
  await using own = await all.browser.open(`${new URL(fleet.up.http.url).origin}/nodes/n2`);
  await own.when(LIVE);
  await fleet.node("n2").agent[Symbol.asyncDispose]();
  await own.when("/takes no new commands/.test(document.querySelector('#agent-log').textContent)");
  await when("/offline/.test(document.querySelector('#node-n2').textContent)");
  assert.equal(await page.evaluate("window.stays"), true);
  await fleet.start("n3");
  await when("document.querySelector('#node-n3') !== null");
  assert.equal(await page.evaluate("window.stays"), true);
});

Deno.test("a phone gets cards and the views at its bottom, and nothing is wider than it", async () => {
  await using all = await ground();
  const { fleet, browser } = all;
  const { origin } = new URL(fleet.up.http.url);
  for (const path of ["/", "/nodes/n1", "/commands", "/charts", "/run", "/run/git/clone", "/alerts", "/team"]) {
    await using phone = await browser.open(`${origin}${path}`, { width: 390, height: 800 });
    await phone.when(LIVE);
    for (const part of ["document.documentElement", "document.querySelector('.nav ul')"]) {
      assert.ok(await phone.page.evaluate(`${part}.scrollWidth <= innerWidth`), `${part} of ${path}`);
    }
    assert.ok(
      await phone.page.evaluate("document.querySelector('.nav').getBoundingClientRect().bottom >= innerHeight - 1"),
    );
    const small = await phone.page.evaluate(
      "[...document.querySelectorAll('button, .nav a')].filter((one) => { const { height } = one.getBoundingClientRect(); return height > 0 && height < 44; }).map((one) => one.textContent)",
    );
    assert.deepEqual(small, [], path);
  }
});

Deno.test("every page is accessible in light and in dark", async () => {
  await using all = await ground();
  const { fleet, browser, tab } = all;
  const { origin } = new URL(fleet.up.http.url);
  await run(tab, "task run hostile --on all");
  await tab.when(ENDED);
  await fleet.up.hub.alert("critical", "The disk <b>of the hub</b> is full");
  await sendNote(fleet.admin, fleet.up.project, "global", "The hub restarts at 18:00");
  const command = await tab.page.evaluate("location.pathname") as string;
  const axe = await Deno.readTextFile(new URL(import.meta.resolve("axe-core/axe.min.js")));
  for (const theme of ["light", "dark"] as const) {
    for (
      const path of [
        "/",
        "/?search=nothing",
        "/?as=map",
        "/nodes/n1",
        "/commands",
        "/charts",
        "/run",
        "/run/docker/run",
        "/alerts",
        "/team",
        command,
      ]
    ) {
      await using page = await browser.open(`${origin}${path}`);
      await page.page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
      await page.when(LIVE);
      if (path === command) await page.when(`${LINES} > 3`);
      // The page's policy keeps foreign scripts out; the debugger is not bound by it.
      await page.page.evaluate(axe);
      const found = await page.page.evaluate("axe.run(document, { resultTypes: ['violations'] })") as {
        violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
      };
      const told = found.violations.map(({ id, nodes }) =>
        `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("\n")}`
      );
      assert.deepEqual(told, [], `${path} in ${theme}`);
    }
  }
});
