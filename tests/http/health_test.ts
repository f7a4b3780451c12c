import assert from "node:assert/strict";
import { temporaryFolder } from "../fleet.ts";
import { portFlags } from "../free_ports.ts";
import { until } from "../until.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";

Deno.test("a hub is ready when what is asked of this machine's node is done, after a restart as well", async () => {
  await using stack = new AsyncDisposableStack();
  const home = await temporaryFolder(stack);
  const flags = portFlags();
  const httpUrl = `http://127.0.0.1:${flags.at(-1)}`;
  const start = () => spawnXtask(["up", "--json", "--name", "n1", "--allow", "which", ...flags], { home });
  let token: string;
  {
    await using up = await start();
    await up.ready();
    token = JSON.parse((await xtask(["env", "--json"], { home })).stdout).XTASK_TOKEN;
  }
  await using up = await start();
  const ask = async (path: string, init: RequestInit = {}) => {
    const answer = await fetch(`${httpUrl}${path}`, init);
    return { status: answer.status, body: await answer.json() };
  };
  const reasons = new Set<string>();
  await until("it to be ready", async () => {
    const { status, body } = await ask("/readyz").catch(() => ({ status: 0, body: {} }));
    for (const reason of body.reasons ?? []) reasons.add(reason);
    return status === 200;
  });
  const { status, body } = await ask("/api/v1/nodes/n1/which/check?wait=10000", {
    method: "POST",
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    body: JSON.stringify({ names: ["sh"] }),
  });
  assert.equal(status, 200, JSON.stringify(body));
  assert.ok(reasons.has("this machine's node n1 is starting"), [...reasons].join());
  await up.ready();
});
