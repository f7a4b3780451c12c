import assert from "node:assert/strict";
import { registerSubject } from "../../lib/protocol/subjects.ts";
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
    await when("document.querySelectorAll('.topology .link-up a').length === 2");
    await page.goto(`${origin}/?select=%3D`);
    await when("document.querySelector('#fleet .problem') !== null");
  });

  await t.step("the console completes, says what is meant, and runs it", async () => {
    await page.goto(origin);
    await when(LIVE);
    await run(tab, "task run hello --on all");
    await when("/succeeded2 of 2 runs ended/.test(document.querySelector('.command-head')?.textContent)");
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
    await using late = await browser.open(page.url());
    await late.when(`${LINES} > ${shown} && /^tick 1$/.test(document.querySelector('#L1 code')?.textContent)`);
    await page.click("[data-post$=cancel]");
    await when(ENDED);
    assert.match(await text(".command-head"), /cancelled/);
  });

  await t.step("whoever cannot keep up with the output is shown its end, and told what that leaves out", async () => {
    await page.goto(origin);
    await when(LIVE);
    await run(tab, "task run burst --on n1");
    await when("/it waits/.test(document.querySelector('#log').textContent)");
    await Deno.writeTextFile(`${fleet.node("n1").dir}/go`, "");
    await when(ENDED);
    await when("/of 20001, ended/.test(document.querySelector('[data-log-status]').textContent)");
    await when("/^1\\d,\\d{3} lines skipped; scroll up/.test(document.querySelector('[data-log-before]').textContent)");
    assert.ok(await page.evaluate(LINES) as number <= 2_000);
    const scrolledUp =
      "const place = document.querySelector('[data-log-lines]'); place.scrollTop = place.scrollTop > 10 ? 10 : 0";
    const before = "/^\\d+,\\d{3} lines before$/.test(document.querySelector('[data-log-before]').textContent)";
    await when(`(() => { ${scrolledUp}; return ${before}; })()`);
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

  await t.step(
    "times, wrapping, the first error, matches back and forth, marked lines, and all of it raw",
    async () => {
      await page.goto(origin);
      await when(LIVE);
      await run(tab, "task run lines --on n1");
      await when("/of 5000, ended/.test(document.querySelector('[data-log-status]').textContent)");
      const style = (selector: string, name: string) =>
        page.evaluate(`getComputedStyle(document.querySelector('${selector}')).${name}`);
      assert.equal(await style("#log li time", "display"), "none");
      await page.keyboard.press("t");
      assert.notEqual(await style("#log li time", "display"), "none");
      assert.match(await text("#log li time"), /^\d\d:\d\d:\d\d\.\d{3}$/);
      assert.equal(await style("#log li code", "whiteSpace"), "pre-wrap");
      await page.keyboard.press("w");
      assert.equal(await style("#log li code", "whiteSpace"), "pre");
      await page.type("[data-log-search]", "line 4999");
      await when("document.querySelector('#L4999.hit') !== null");
      await page.$eval("[data-log-search]", (field) => (field as unknown as { value: string }).value = "");
      await page.type("[data-log-search]", "line 250");
      await when("/^1 of 11$/.test(document.querySelector('[data-log-found]').textContent)");
      await page.click("[data-log=previous]");
      await when("document.querySelector('#L2509.hit') !== null");
      await page.click("[data-log=next]");
      await when("document.querySelector('#L250.hit') !== null");
      await page.click("#L252 .line-number");
      await page.keyboard.down("Shift");
      await page.click("#L255 .line-number");
      await page.keyboard.up("Shift");
      assert.equal(await page.evaluate("location.hash"), "#L252-L255");
      assert.equal(await page.evaluate("document.querySelectorAll('#log li.meant').length"), 4);
      const raw = await page.evaluate(
        "fetch(document.querySelector('[data-log-raw]').href).then(async (one) => [one.headers.get('content-disposition'), await one.text()])",
      ) as string[];
      assert.match(raw[0] ?? "", /^attachment; filename="n1-\w{26}\.log"$/);
      assert.equal(raw[1], Array.from({ length: 5_000 }, (_, at) => `line ${at + 1}\n`).join(""));
      await page.goto(origin);
      await run(tab, "task run fails --on n1");
      await when("/of 3102, ended/.test(document.querySelector('[data-log-status]')?.textContent)");
      await page.keyboard.press("e");
      await when("location.hash === '#L3001' && document.querySelector('#L3001.meant') !== null");
      assert.match(await text("#L3001"), /error: it does not work/);
    },
  );

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

Deno.test("whatever a node says of itself stays text, on every page that tells of it", async () => {
  await using all = await ground();
  const { fleet, tab: { page, when, troubles } } = all;
  const { origin } = new URL(fleet.up.http.url);
  const record = await fleet.record("n2");
  const node = await fleet.connect(fleet.node("n2").creds, { inboxPrefix: "_INBOX_n2" });
  await fleet.node("n2").agent[Symbol.asyncDispose]();
  const hostile =
    `</p><script>window.owned=1</script><img src=x onerror="window.owned=1">\u001b]0;title\u0007\u001b[31m` +
    "\r\revent: datastar-patch-signals\rdata: signals {x: (window.owned=1)}\r\r' \" `";
  const claims = {
    ...record,
    instance: "hostile",
    hostname: hostile,
    version: hostile,
    tasks: [{ name: hostile, desc: hostile }],
    state: "online",
    since: new Date().toISOString(),
  };
  // As agents do: the first claims the id, the second tells the record.
  for (let n = 0; n < 2; n++) await node.request(registerSubject("n2"), JSON.stringify(claims), { timeoutMs: 10_000 });
  for (const [path, place] of [["/run", "#offered"], ["/", "#node-n2"], ["/nodes/n2", "#node"]] as const) {
    await page.goto(`${origin}${path}`);
    await when(`${LIVE} && /window\\.owned=1/.test(document.querySelector('${place}')?.textContent)`);
  }
  await page.goto(`${origin}/nodes/n2`);
  await when(LIVE);
  await page.click("[data-console]");
  await when("/window\\.owned=1/.test(document.querySelector('#console-words').value)");
  await page.$eval("#console-words", (field) => (field as unknown as { value: string }).value = "task run");
  await page.keyboard.type(" ");
  await when("/window\\.owned=1/.test(document.querySelector('#console-list').textContent)");
  assert.equal(await page.evaluate("window.owned"), undefined);
  assert.equal(await page.$("main img"), null);
  assert.equal(await page.evaluate("document.title"), "n2 · xtask");
  assert.deepEqual(troubles, []);
});
