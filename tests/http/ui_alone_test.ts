import assert from "node:assert/strict";
import { startFleet } from "../fleet.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";

Deno.test("xtask ui serves the page of any hub that it is given, and says when that hub does not answer", async () => {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(await startFleet({ nodes: ["n1"] }));
  const home = `${fleet.folder}/elsewhere`;
  await Deno.mkdir(home);
  const creds = `${home}/olga.creds`;
  await Deno.writeTextFile(creds, await fleet.join("operator", "olga"), { mode: 0o600 });
  const named = ["ui", "--json", "--hub", fleet.url];

  const nobody = await xtask(named, { home });
  assert.equal(nobody.code, 2);
  assert.match(nobody.stderr, /With whose rights\?.*--creds FILE/s);
  const alone = await xtask(["ui", "--creds", creds], { home });
  assert.equal(alone.code, 2);
  assert.match(alone.stderr, /--hub, which is missing/);

  const ui = stack.use(await spawnXtask([...named, "--creds", creds, "--http-port", "0"], { home }));
  const { httpUrl = "", loginUrl = "", token } = await ui.ready();
  const login = await fetch(loginUrl, { redirect: "manual" });
  await login.body?.cancel();
  const cookie = login.headers.get("set-cookie")?.split(";")[0] ?? "";
  const page = await (await fetch(`${httpUrl}/`, { headers: { cookie, accept: "text/html" } })).text();
  assert.match(page, /id="node-n1"/);
  const asked = await fetch(`${httpUrl}/api/v1/tasks?wait=10000`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ command: "which sh --on n1" }),
  });
  assert.equal((await asked.json()).results[0].state, "succeeded");

  const stream = await fetch(`${httpUrl}/events?view=/`, { headers: { cookie } });
  const reader = stream.body!.pipeThrough(new TextDecoderStream()).getReader();
  assert.match((await reader.read()).value ?? "", /<div id="away" hidden/);
  await fleet.up.hub[Symbol.asyncDispose]();
  let text = "";
  // It is asked every 15 s.
  while (!/id="away" class="problem"[^>]*>\s*The hub does not answer/.test(text)) {
    const { value, done } = await reader.read();
    assert.ok(!done, text);
    text += value;
  }
  await reader.cancel();
});
