import assert from "node:assert/strict";
import { VIEWS } from "../../lib/http/pages.tsx";
import { violations } from "./axe.ts";
import { ENDED, LIVE, run } from "./ground.ts";
import { startStage, THEMES, WIDTHS } from "./scenes.ts";

/** What a field holds. */
const value = (selector: string) => `document.querySelector("${selector}").value`;

Deno.test("a fleet in every state: what people see of it, do about it, and on what", async (t) => {
  await using stage = await startStage();
  const { tab, origin, fleet, commands } = stage;
  const { page, when, text } = tab;
  const go = async (path: string) => {
    await page.goto(`${origin}${path}`);
    await when(LIVE);
  };

  await t.step("each node tells its state and why, what runs there and what waits", async () => {
    await go("/");
    assert.match(await text("#chrome"), /4 of 6 nodes online\s*2 commands run, 3 wait/);
    assert.match(await text("#node-ci-linux-1"), /online.*ready for .*load \d.*1\/2 slots.*runstask run deploy/s);
    assert.match(await text("#node-dev-laptop"), /busy.*all its slots are taken.*waits:task run deploy/s);
    assert.match(await text("#node-edge-porto"), /draining.*takes no new commands/s);
    assert.match(await text("#node-edge-oslo"), /offline.*stopped .* ago.*waits for it:task run build/s);
    assert.match(
      await text("#node-edge-berlin"),
      /offline.*last heard of .*its machine, its agent or its link is down/s,
    );
    assert.doesNotMatch(await text("#node-edge-berlin"), /load/, "what it was like before is not what it is like");
  });

  await t.step("the topology draws each link as it is, with its round trip", async () => {
    await go("/?as=map");
    assert.match(await text(".topology-hub"), /hub answers/);
    for (
      const [node, link] of [["ci-linux-1", "up"], ["dev-laptop", "up"], ["edge-oslo", "stopped"], [
        "edge-berlin",
        "unknown",
      ]]
    ) {
      assert.ok(await page.$(`#branch-${node}.link-${link}`), `${node} ${link}`);
    }
    assert.match(await text("#branch-ci-linux-1"), /\d\.\d ms.*leaf node, link up.*heard of/s);
    assert.match(await text("#branch-dev-laptop"), /client, link up/);
    assert.match(await text("#branch-edge-berlin"), /leaf node, silent/);
    assert.doesNotMatch(await text("#branch-edge-berlin"), / ms/);
  });

  await t.step("a node's page tells of its link, drains it and takes it back", async () => {
    await go("/nodes/ci-linux-1");
    const facts = await text(".facts");
    for (
      const fact of [
        /Linklink up, leaf node/,
        /To the hub and back\d+\.\d ms/,
        /Last contact\w/,
        /Reports for the hub\w/,
      ]
    ) {
      assert.match(facts, fact);
    }
    assert.match(await text("#schedules"), /nightly.*task run build.*0 3 \* \* \*.*next in/s);
    await page.click("[data-post$=drain]");
    await when("/draining/.test(document.querySelector('#node').textContent)");
    await page.click("[data-post$=resume]");
    await when("/online/.test(document.querySelector('#node').textContent)");
  });

  await t.step("a search narrows what is shown while it is typed, in the address and without a reload", async () => {
    await go("/");
    await page.evaluate("window.stays = true");
    await page.type("[data-search]", "berlin");
    await when("document.querySelectorAll('.card.node').length === 1 && location.search === '?search=berlin'");
    await page.select("select[name=as]", "map");
    await when("document.querySelectorAll('.branch').length === 1");
    assert.deepEqual(await page.evaluate("[location.search, window.stays, document.activeElement.name]"), [
      "?search=berlin&as=map",
      true,
      "search",
    ]);
    await page.reload();
    await when("document.querySelectorAll('.branch').length === 1");
    assert.equal(await page.evaluate(value("[data-search]")), "berlin");
  });

  await t.step(
    "the console completes, and shows which nodes are meant before anything is asked, those that are away too",
    async () => {
      await go("/");
      await page.click("[data-open-console]");
      const proposes = (words: RegExp) => when(`${words}.test(document.querySelector('#console-list').textContent)`);
      await page.keyboard.type("si");
      await proposes(/^silent/);
      for (const _ of "si") await page.keyboard.press("Backspace");
      await page.keyboard.type("task run d");
      await proposes(/^deployPut it on the machines of a region, on 6 nodes/);
      await page.keyboard.press("Tab");
      await when(`${value("#console-words")} === 'task run deploy '`);
      await page.keyboard.type("--on ");
      await proposes(/^allevery node: 6ci-linux-1linux\/amd64, online.*tier=ci2 of 6 nodes/);
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("Enter");
      await when(`${value("#console-words")} === 'task run deploy --on ci-linux-1 '`);
      await page.$eval("#console-words", (field) => (field as unknown as { value: string }).value = "");
      const meant = (words: RegExp) => when(`${words}.test(document.querySelector('#console-meant').textContent)`);
      await page.keyboard.type("task run build --on tier=edge");
      await meant(/task run: runs nowhere now; with --queue .*edge-berlin is away.*edge-porto is drained and refuses/);
      await page.keyboard.type(" --queue");
      await meant(/waits for 2 nodes.*edge-oslo is away, gets it when it is back/);
      for (let letters = " --queue".length; letters > 0; letters--) await page.keyboard.press("Backspace");
      for (let letters = "edge".length; letters > 0; letters--) await page.keyboard.press("Backspace");
      await page.keyboard.type("ci");
      await meant(/runs on 2 nodes.*ci-linux-1.*ci-linux-2/);
      await page.keyboard.press("Escape");
    },
  );

  await t.step("a command that may move tells which attempts were lost and why, and what it waits for", async () => {
    await go(`/commands/${commands.moved}`);
    assert.match(await text(".command-head"), /waits for a node of id=edge-oslo/);
    assert.match(await text(".lost"), /Attempt 1 on edge-oslo was lost .* ago: \w+/);
  });

  await t.step("whom a command did not reach is told where it is shown", async () => {
    await go("/");
    await run(tab, "which sh --on all");
    await when(`${ENDED} && document.querySelector('#told') !== null`);
    assert.match(await text("#told"), /edge-berlin is away, and was not asked\nedge-oslo is away/);
    await page.reload();
    await when("document.querySelector('#told') !== null");
  });

  await t.step(
    "a command for a node that is away is left at the hub from its page, and runs when it is back",
    async () => {
      await go(`/commands/${commands.waiting}`);
      assert.match(await text("#run-edge-oslo"), /queued.*waits at the hub until edge-oslo is back, at most 6 d/s);
      await go("/nodes/edge-oslo");
      assert.match(await text(".node-now"), /Waits at the hub until it is back.*task run build/);
      await page.click("a[href='/run/task/run?on=edge-oslo&queue=1']");
      await when("/Waits for 1 node/.test(document.querySelector('[data-target-meant]')?.textContent)");
      await page.type("textarea[name=args]", "test");
      await page.click(".verb-form button.run");
      await when("/waits at the hub until edge-oslo/.test(document.querySelector('#run-edge-oslo')?.textContent)");
      await fleet.start({ id: "edge-oslo", labels: { region: "eu-north", tier: "edge" } });
      await when(ENDED);
      assert.match(await text("#run-edge-oslo"), /failed/);
      await page.click("[data-post$=retry]");
      await when("/Asked 2 times/.test(document.querySelector('.asked-too')?.textContent)");
      await when(ENDED);
    },
  );

  await t.step("what moves stands still for those who want that", async () => {
    await go(`/commands/${commands.deploy}`);
    const moves = `getComputedStyle(document.querySelector('.state-running'), '::before').animationName`;
    assert.equal(await page.evaluate(moves), "turn");
    await page.emulateMediaFeatures([{ name: "prefers-reduced-motion", value: "reduce" }]);
    assert.equal(await page.evaluate(moves), "none");
  });

  await t.step("by the keyboard alone: from view to view, into a list and back", async () => {
    await go("/");
    const key = (name: Parameters<typeof page.keyboard.press>[0]) => page.keyboard.press(name);
    await key("?");
    await when("document.querySelector('#keys').open");
    for (const what of ["Run something", "Commands", "Next, previous match"]) {
      assert.ok((await text("#keys")).includes(what), what);
    }
    await key("Escape");
    await key("g");
    await key("h");
    await when(`location.pathname === '/commands' && ${LIVE} && document.querySelector('#commands tbody tr') !== null`);
    await key("/");
    await when("document.activeElement.name === 'search'");
    await page.keyboard.type("g?j");
    assert.equal(await page.evaluate(value("[data-search]")), "g?j", "in a field a key is a letter");
    await when("location.search === '?search=g%3Fj' && document.querySelectorAll('#commands tbody tr').length <= 1");
    for (let letters = 3; letters > 0; letters--) await key("Backspace");
    await when("location.search === '' && document.querySelectorAll('#commands tbody tr').length > 1");
    await page.evaluate("document.activeElement.blur()");
    await key("j");
    await key("j");
    await key("k");
    assert.equal(await page.evaluate("document.activeElement === document.querySelector('[data-key-item]')"), true);
    await key("Enter");
    await when(`location.pathname.startsWith('/commands/') && ${LIVE}`);
    await key("?");
    await page.click("#single-keys");
    await key("Escape");
    await key("g");
    await key("f");
    await key("?");
    assert.equal(await page.evaluate("document.querySelector('#keys').open"), false, "single keys are off");
    await page.evaluate("localStorage.clear()");
  });

  await t.step("everything is accessible, fits, and is large enough for a finger", async () => {
    const looked = new Set<string>();
    for (const scene of stage.scenes) {
      looked.add(viewOf(scene.path));
      for (const { name: width } of WIDTHS) {
        await stage.show(scene, width);
        const where = `${scene.name} on a ${width}`;
        assert.ok(await page.evaluate(FITS), `${where} is wider than it`);
        if (width === "phone") assert.deepEqual(await page.evaluate(SMALL), [], where);
        // What a theme changes, colours, it changes for both.
        const theme = THEMES[width === "phone" ? 0 : 1];
        await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: theme }]);
        assert.deepEqual(await violations(page), [], `${where} in ${theme}`);
      }
    }
    assert.deepEqual(Object.keys(VIEWS).filter((view) => !looked.has(view)), [], "views that no scene is of");
  });
  assert.deepEqual(tab.troubles.filter((one) => !/status of (401|404)/.test(one)), []);
});

/** The view that an address leads to, as the table of views names it. */
function viewOf(path: string): string {
  const { pathname } = new URL(path, "http://page");
  return Object.keys(VIEWS).find((view) => new RegExp(`^${view.replaceAll(/:\w+/g, "[^/]+")}$`).test(pathname)) ?? "";
}

const FITS = "document.documentElement.scrollWidth <= innerWidth";

/** What can be pressed and is lower than a finger: but for links in a sentence, and the numbers of lines. */
const SMALL = `[...document.querySelectorAll("a, button, select, input, textarea")].filter((one) => {
  const box = one.type === "checkbox" ? one.closest("label") : one;
  const { height } = box.getBoundingClientRect();
  if (height <= 1 || !one.checkVisibility() || one.matches(".line-number")) return false;
  const stretched = getComputedStyle(one, "::after").position === "absolute";
  const inSentence = getComputedStyle(one).display === "inline" && one.parentElement.textContent !== one.textContent;
  return height < 44 && !stretched && !inSentence;
}).map((one) => one.outerHTML.slice(0, 120))`;
