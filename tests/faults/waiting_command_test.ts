import assert from "node:assert/strict";
import { copyProject, temporaryFolder } from "../fleet.ts";
import { portFlags } from "../free_ports.ts";
import { until } from "../until.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";

const TASKFILE = JSON.stringify({ version: "3", silent: true, tasks: { mark: { cmds: ["echo ran >> ran.txt"] } } });

Deno.test("a command is left for a machine that is off, the hub is killed and started again, then the machine: it ran once", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const [home, dir] = [`${folder}/hub`, `${folder}/edge/project`];
  await Deno.mkdir(home);
  await copyProject(dir, TASKFILE);
  const ports = portFlags();
  const startHub = async () => {
    const hub = stack.use(await spawnXtask(["up", "--json", "--no-agent", ...ports], { home }));
    return { hub, said: await hub.ready() };
  };
  const first = await startHub();
  const { natsUrl: url = "" } = first.said;
  const { token } = JSON.parse((await xtask(["auth", "invite", "--json"], { home })).stdout);
  const startAgent = async (...more: string[]) => {
    const args = ["agent", "--json", "--hub", url, "--name", "n1", "--allow", "task", "--dir", dir, ...more];
    const agent = stack.use(await spawnXtask(args, { home: `${folder}/edge`, cwd: dir }));
    await agent.ready();
    return agent;
  };
  const agent = await startAgent("--join", token);
  agent.kill("SIGTERM");
  await agent.status;
  await until("the node to be offline", async () => /offline/.test((await xtask(["nodes"], { home })).stdout));

  const without = await xtask(["task", "mark", "--on", "n1", "--detach"], { home });
  assert.equal(without.code, 75, "nobody is there, and nobody said to wait");
  const left = await xtask(["task", "mark", "--on", "n1", "--queue", "--json"], { home });
  assert.equal(left.code, 0, left.stderr);
  const { type, id, nodes } = JSON.parse(left.stdout);
  assert.deepEqual([type, nodes], ["queued", ["n1"]]);
  assert.match((await xtask(["commands", "ls", "--state", "queued"], { home })).stdout, new RegExp(id));

  first.hub.kill("SIGKILL");
  await first.hub.status;
  await startHub();
  await startAgent();
  await until("it to have run", async () => {
    const shown = await xtask(["commands", "show", id, "--json"], { home });
    return shown.code === 0 && JSON.parse(shown.stdout).runs.n1.state === "succeeded";
  }, { timeoutMs: 60_000 });
  assert.equal(await Deno.readTextFile(`${dir}/ran.txt`), "ran\n");
});
