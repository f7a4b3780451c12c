import assert from "node:assert/strict";
import { serverMark } from "../../lib/nats/server.ts";
import { endProcesses, survivors } from "../../lib/os/processes.ts";
import { copyProject, temporaryFolder } from "../fleet.ts";
import { portFlags } from "../free_ports.ts";
import { until } from "../until.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";

Deno.test("a leaf node whose hub is gone is asked on its machine, survives being killed, and reports when the hub is back", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const [hubHome, home, dir] = [`${folder}/hub`, `${folder}/edge`, `${folder}/project`];
  await copyProject(dir);
  await Deno.mkdir(hubHome);
  await Deno.mkdir(home);
  const ports = portFlags();
  const up = () => spawnXtask(["up", "--json", "--no-agent", ...ports], { home: hubHome, cwd: dir });
  await using first = await up();
  const { natsUrl = "" } = await first.ready();
  const { token } = JSON.parse((await xtask(["auth", "invite", "--json"], { home: hubHome })).stdout);
  const args = ["agent", "--json", "--hub", natsUrl, "--name", "edge", "--dir", dir];
  const servers = () => survivors({ groups: [], mark: serverMark(`${home}/agent/leaf`) });
  stack.defer(async () => void await endProcesses({ groups: [], mark: serverMark(`${home}/agent/leaf`) }));
  await using agent = await spawnXtask([...args, "--join", token], { home, cwd: dir });
  assert.equal((await agent.ready()).mode, "leaf");
  const hello = async (from: string) => {
    const { code, stdout, stderr } = await xtask(["task", "run", "hello", "--on", "edge"], { home: from });
    assert.equal(code, 0, stderr);
    assert.match(stdout, /Hello from/);
  };
  await hello(hubHome);

  first.kill("SIGKILL");
  await first.status;
  await endProcesses({ groups: [], mark: serverMark(`${hubHome}/hub/nats`) });
  await hello(home);
  assert.match((await xtask(["nodes", "show", "edge"], { home })).stdout, /leaf node/);
  const listed = (await xtask(["commands", "--json"], { home })).stdout.trim().split("\n").map((line) =>
    JSON.parse(line)
  );
  assert.deepEqual(
    listed.map(({ runs }) => runs.edge.state),
    ["succeeded", "succeeded"],
    "also what the hub had asked",
  );
  const [{ id }] = listed;
  assert.match((await xtask(["commands", "show", id], { home })).stdout, /succeeded/);
  assert.match((await xtask(["commands", "logs", id], { home })).stdout, /Hello from/);
  assert.match((await xtask(["commands", "cancel", id], { home })).stdout, /edge: already done/);
  const unknown = await xtask(["commands", "show", "01JAAAAAAAAAAAAAAAAAAAAAAA"], { home });
  assert.equal(unknown.code, 4, unknown.stderr);

  const [server = 0] = await servers();
  agent.kill("SIGKILL");
  await agent.status;
  // As a member that had joined, with neither token nor hub.
  await using again = await spawnXtask(args, { home, cwd: dir });
  assert.equal((await again.ready()).mode, "leaf");
  const now = await servers();
  assert.ok(now.length === 1 && !now.includes(server), "the server of the one that was killed is gone");
  await hello(home);

  await using second = await up();
  await second.ready();
  const told = await until("all three runs at the hub", async () => {
    const { stdout } = await xtask(["commands", "--json"], { home: hubHome });
    const commands = stdout.trim().split("\n").filter((line) => line !== "").map((line) => JSON.parse(line));
    return commands.length === 3 && commands.every(({ runs }) => runs.edge?.state === "succeeded") && commands;
  }, { timeoutMs: 60_000 });
  assert.equal(told.length, 3);
});
