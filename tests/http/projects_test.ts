import assert from "node:assert/strict";
import { sendNote } from "../../lib/client/team.ts";
import { join, startNode } from "../../lib/system.ts";
import { startBrowser } from "../browser/browser.ts";
import { LIVE } from "../browser/ground.ts";
import { startFleet, temporaryFolder, type TestFleet } from "../fleet.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";

/** A node of the hub's second project. */
async function startInOther({ up: { others: [shop] }, url }: TestFleet, folder: string) {
  assert.ok(shop !== undefined);
  const { token } = await shop.hub.invite("node");
  const { creds, project } = await join({ servers: url, token, name: "till-1" });
  assert.equal(project, "shop");
  return await startNode({
    node: "till-1",
    dir: folder,
    home: `${folder}/home`,
    hostname: "till-1",
    labels: {},
    slots: 1,
    allow: ["which"],
    known: {},
    env: {},
    servers: url,
    creds,
    log: () => {},
  });
}

Deno.test("projects of one hub see nothing of each other, and the page switches between them", async (t) => {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(await startFleet({ nodes: ["n1"], projects: ["default", "shop"] }));
  stack.use(await startInOther(fleet, await temporaryFolder(stack)));
  const { up, up: { others: [shop] } } = fleet;
  assert.ok(shop !== undefined);
  const shopAdmin = await fleet.connect(shop.adminCreds);
  const headers = { authorization: `Bearer ${up.token}`, "content-type": "application/json" };
  const nodesOf = async (query: string) => {
    const { nodes } = await (await fetch(`${up.http.url}/api/v1/nodes${query}`, { headers })).json();
    return nodes.map(({ id }: { id: string }) => id);
  };

  await t.step("each has its own nodes, commands and rights", async () => {
    assert.deepEqual(await nodesOf(""), ["n1"]);
    assert.deepEqual(await nodesOf("?project=shop"), ["till-1"]);
    const ask = (body: unknown, query = "") =>
      fetch(`${up.http.url}/api/v1/tasks${query}`, { method: "POST", headers, body: JSON.stringify(body) });
    const inShop = await ask({ command: "which sh --on all", project: "shop" });
    assert.deepEqual((await inShop.json()).nodes, ["till-1"]);
    assert.equal((await ask({ command: "which sh --on till-1" })).status, 404, "not a node of the first project");
    assert.equal((await ask({ command: "which sh --on n1" }, "?project=shop")).status, 404);
    assert.equal((await ask({ command: "which sh --on all", project: "nosuch" })).status, 404);
    // A credential of one project means nothing to the other, whatever subject it asks.
    await assert.rejects(shopAdmin.request("xtask.n1.which.check", JSON.stringify({ names: ["sh"] })), {
      code: "unavailable",
    });
  });

  await t.step("the page shows one at a time, and keeps to it", async () => {
    await sendNote(fleet.admin, "default", "team", "only in default");
    await sendNote(shopAdmin, "shop", "team", "only in the shop");
    await using browser = await startBrowser();
    await using tab = await browser.open(up.http.loginLink());
    const { page, when, text } = tab;
    await when(`${LIVE} && document.querySelector('#node-n1') !== null`);
    await page.select("#project", "shop");
    await when(`${LIVE} && document.querySelector('#node-till-1') !== null`);
    assert.equal(await page.$("#node-n1"), null);
    assert.match(await text(".status-line"), /1 of 1 nodes online/);
    await page.click(".nav a[href^='/team']");
    await when("/only in the shop/.test(document.querySelector('#notes')?.textContent)");
    assert.doesNotMatch(await text("#notes"), /only in default/);
    await page.keyboard.press("g");
    await page.keyboard.press("r");
    await when(
      `${LIVE} && location.pathname === '/run' && new URLSearchParams(location.search).get('project') === 'shop'`,
    );
    await page.click("[data-open-console]");
    await page.keyboard.type("which sh --on till-1");
    await page.keyboard.press("Enter");
    await when(
      `${LIVE} && location.pathname.startsWith('/commands/') && document.querySelector('.state-succeeded') !== null`,
    );
    await page.select("#project", "default");
    await when("location.pathname === '/commands' && /Nothing has been asked/.test(document.body.textContent)");
    assert.deepEqual(tab.troubles, []);
  });
});

Deno.test("a project that was named at one start is there at the next, with a context of its own", async () => {
  await using stack = new AsyncDisposableStack();
  const home = await temporaryFolder(stack);
  const ports = ["--http-port", "0", "--nats-port", "0", "--leaf-port", "0"];
  const started = async (...flags: string[]) => {
    await using hub = await spawnXtask(["up", "--json", "--no-agent", ...ports, ...flags], { home });
    const { projects } = await hub.ready() as { projects?: string[] };
    const notes = await Promise.all((projects ?? []).map(async (project, at) => {
      const context = at === 0 ? "local" : `local.${project}`;
      const said = await xtask(["team", "say", "--context", context, "hello"], { home });
      assert.equal(said.code, 0, said.stderr);
      return (await xtask(["team", "watch", "--no-follow", "--json", "--context", context], { home })).stdout;
    }));
    return { projects, notes: notes.map((text) => text.trim().split("\n").length) };
  };
  assert.deepEqual(await started(), { projects: ["default"], notes: [1] });
  assert.deepEqual(await started("--project", "shop"), { projects: ["default", "shop"], notes: [2, 1] });
  assert.deepEqual(await started(), { projects: ["default", "shop"], notes: [3, 2] });
});
