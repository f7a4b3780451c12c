import assert from "node:assert/strict";
import { markOf, sendSignal, survivors } from "../../lib/os/processes.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { guardsOf } from "./children.ts";
import { ask, GATED, hear, hearResult, ongoing, refused, runsIn } from "../asking.ts";
import { copyProject, startFleet, type TestFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { spawnXtask, type XtaskProcess } from "../xtask_process.ts";

/** An agent in a process of its own, with a command that waits for the test. */
async function running(fleet: TestFleet, node: string): Promise<{ agent: XtaskProcess; dir: string; id: string }> {
  const dir = `${fleet.folder}/${node}/project`;
  await copyProject(dir, GATED);
  const { token } = await fleet.up.hub.invite("node");
  const args = ["agent", "--json", "--hub", fleet.url, "--join", token, "--name", node, "--allow", "task,which"];
  const agent = await spawnXtask(args, { home: `${fleet.folder}/${node}`, cwd: dir });
  await agent.ready();
  const id = newCommandId();
  ongoing(await ask(fleet.admin, node, "task.run", { args: ["gate"] }, { id, waitMs: 0 }));
  await until("the run to begin", async () => await runsIn(dir) === 1);
  return { agent, dir, id };
}

Deno.test("an agent that is told to stop", async (t) => {
  await using fleet = await startFleet({ nodes: [] });
  const { admin } = fleet;

  await t.step("takes nothing new, lets what runs end, hands over the result and ends well", async () => {
    const { agent, dir, id } = await running(fleet, "one");
    await using _agent = agent;
    using results = await hearResult(admin, id);
    const guards = Deno.build.os === "linux" ? guardsOf(agent.pid) : [];
    agent.kill("SIGTERM");
    await until("the node to drain", () => fleet.up.hub.fleet.get("one")?.state === "draining");
    await refused(ask(admin, "one", "which.check", { names: ["sh"] }), "unavailable", /draining/);
    assert.equal(ongoing(await ask(admin, "one", "run.status", { id })).state, "running");
    await Deno.writeTextFile(`${dir}/open`, "");
    assert.equal(JSON.parse((await results.first()).text()).state, "succeeded");
    assert.equal((await agent.status).code, 0, agent.stderrText());
    if (Deno.build.os === "linux") assert.equal(guards.length, 1);
    for (const guard of guards) assert.ok(!sendSignal(guard, 0), "no guard is left where there is nothing to guard");
    await until("the node to have left", () => fleet.up.hub.fleet.get("one")?.state === "offline");
    await refused(ask(admin, "one", "run.status", { id }), "unavailable");
  });

  await t.step("twice, hands back at once what runs, as interrupted, and leaves no process of it", async () => {
    const { agent, id } = await running(fleet, "two");
    await using _agent = agent;
    using results = await hearResult(admin, id);
    using ends = await hear(admin, "xtask.events.default.command_result");
    const mark = markOf("two", id);
    assert.ok((await survivors({ groups: [], mark })).length > 0);
    agent.kill("SIGTERM");
    await until("the node to drain", () => fleet.up.hub.fleet.get("two")?.state === "draining");
    agent.kill("SIGTERM");
    const result = JSON.parse((await results.first()).text());
    assert.deepEqual([result.state, result.error.code], ["interrupted", "cancelled"]);
    assert.deepEqual(await survivors({ groups: [], mark }), []);
    assert.equal((await agent.status).code, 0, agent.stderrText());
    const event = await ends.first((message) => JSON.parse(message.text()).command === id);
    assert.equal(JSON.parse(event.text()).state, "interrupted");
  });
});

Deno.test("a hub that is told to stop ends its server with it and can be started again", async () => {
  await using stack = new AsyncDisposableStack();
  const home = await Deno.realPath(await Deno.makeTempDir({ prefix: "xtask-test-" }));
  stack.defer(() => Deno.remove(home, { recursive: true }));
  const args = ["up", "--json", "--name", "n1", "--allow", "which", "--project", "team-1"];
  const ports = ["--nats-port", "0", "--leaf-port", "0", "--http-port", "0"];
  const server = () => survivors({ groups: [], mark: `nats-server:${home}/hub/nats` });
  for (const _round of ["first", "second"]) {
    await using up = await spawnXtask([...args, ...ports], { home });
    const { natsUrl, httpUrl = "", node, project } = await up.ready();
    assert.match(natsUrl ?? "", /^nats:\/\/127\.0\.0\.1:\d+$/);
    assert.deepEqual([node, project], ["n1", "team-1"]);
    assert.ok(await fetch(`${httpUrl}/healthz`).then(async (answer) => (await answer.text(), answer.ok)));
    assert.equal((await server()).length, 1);
    up.kill("SIGTERM");
    assert.equal((await up.status).code, 0, up.stderrText());
    assert.deepEqual(await server(), []);
  }
});
