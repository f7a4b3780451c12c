import assert from "node:assert/strict";
import { serverMark } from "../../lib/nats/server.ts";
import { endProcesses, survivors } from "../../lib/os/processes.ts";
import { copyProject, temporaryFolder } from "../fleet.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";

const PORTS = ["--nats-port", "0", "--leaf-port", "0", "--http-port", "0"];

/** What a finding of `xtask doctor --json` is looked at for. */
interface Found {
  readonly what: string;
  readonly state: string;
  readonly found: string;
  readonly advice?: string;
}

Deno.test("what a machine that is a leaf node says of itself, and what a second agent there may not do", async (t) => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const [hubHome, home, dir] = [`${folder}/hub`, `${folder}/edge`, `${folder}/project`];
  await copyProject(dir);
  for (const path of [hubHome, home]) await Deno.mkdir(path);
  await using hub = await spawnXtask(["up", "--json", "--no-agent", ...PORTS], { home: hubHome, cwd: dir });
  const { natsUrl = "" } = await hub.ready();
  const invitation = async () =>
    JSON.parse((await xtask(["auth", "invite", "--json"], { home: hubHome })).stdout).token as string;
  const joining = ["agent", "--json", "--hub", natsUrl, "--name"];
  stack.defer(async () => void await endProcesses({ groups: [], mark: serverMark(`${home}/agent/leaf`) }));
  await using agent = await spawnXtask([...joining, "edge", "--join", await invitation()], { home, cwd: dir });
  await agent.ready();
  const doctor = async () => {
    const { code, stdout } = await xtask(["doctor", "--json"], { home, cwd: dir });
    assert.doesNotMatch(stdout, /:\/\/[^\s"/]*@/, "an address with its password");
    const findings = stdout.trim().split("\n").map((line) => JSON.parse(line) as Found);
    const of = (name: string) => findings.find(({ what }) => what === name);
    return { code, node: of("node"), hub: of("hub"), clock: of("clock") };
  };

  await t.step("all is well: the agent, the hub over the link, the clocks", async () => {
    const { code, node, hub, clock } = await doctor();
    assert.match(
      node?.found ?? "",
      /^edge is online, with a server of its own; (nothing waits|\d+ bytes wait) for the hub$/,
    );
    assert.match(hub?.found ?? "", /^answers edge over its link in /);
    assert.match(clock?.found ?? "", /the hub's, give or take /);
    assert.deepEqual([code, node?.state, hub?.state, clock?.state], [0, "ok", "ok", "ok"]);
  });

  await t.step("a second agent is refused, ends nothing of the first, and leaves its token good", async () => {
    const servers = () => survivors({ groups: [], mark: serverMark(`${home}/agent/leaf`) });
    const before = await servers();
    assert.equal(before.length, 1);
    const token = await invitation();
    const joiningToo = await xtask([...joining, "other", "--join", token], { home, cwd: dir });
    assert.equal(joiningToo.code, 5, joiningToo.stderr);
    assert.match(joiningToo.stderr, /error: An agent already runs in .* \(process \d+\)\n {2}stop it first/);
    const again = await xtask([...joining, "edge"], { home, cwd: dir });
    assert.deepEqual([again.code, await servers()], [5, before]);
    const elsewhere = `${folder}/elsewhere`;
    await Deno.mkdir(elsewhere);
    await using other = await spawnXtask([...joining, "other", "--client", "--join", token], {
      home: elsewhere,
      cwd: dir,
    });
    assert.equal((await other.ready()).mode, "client");
  });

  await t.step("it has no page, and says where there is one", async () => {
    const { code, stderr } = await xtask(["ui"], { home, cwd: dir });
    assert.equal(code, 2);
    assert.match(
      stderr,
      /^error: Node 'edge' has no page of its own: .*\n {2}open it where the hub runs: xtask ui --open\n/,
    );
  });

  await t.step("without the hub the node is well and the hub is what is wrong", async () => {
    hub.kill("SIGKILL");
    await hub.status;
    await endProcesses({ groups: [], mark: serverMark(`${hubHome}/hub/nats`) });
    const { code, node, hub: found } = await doctor();
    assert.deepEqual([code, node?.state, found?.state], [1, "ok", "wrong"]);
    assert.match(found?.found ?? "", /^does not answer edge: /);
    assert.match(found?.advice ?? "", /works on alone/);
  });

  await t.step("an agent that does not run is told with how it is started", async () => {
    agent.kill("SIGKILL");
    await agent.status;
    await endProcesses({ groups: [], mark: serverMark(`${home}/agent/leaf`) });
    const { code, node } = await doctor();
    assert.deepEqual([code, node?.found], [1, "The agent of edge does not run"]);
    assert.match(node?.advice ?? "", /^start it again: xtask agent --hub URL; it needs no token$/);
  });
});
