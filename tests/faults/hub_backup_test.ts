import assert from "node:assert/strict";
import { join } from "node:path";
import { serverMark } from "../../lib/nats/server.ts";
import { endProcesses } from "../../lib/os/processes.ts";
import { copyProject, temporaryFolder } from "../fleet.ts";
import { portFlags } from "../free_ports.ts";
import { until } from "../until.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";

const TASKFILE = JSON.stringify({ version: "3", silent: true, tasks: { say: { cmds: ["echo said {{.WHAT}}"] } } });

Deno.test("a hub is lost with its disk and made again of a backup: its nodes go on, and what is missing is told", async (t) => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const [home, again, backup, dir] = ["hub", "again", "backup", "edge/project"].map((name) => join(folder, name));
  assert.ok(home && again && backup && dir);
  for (const path of [home, again]) await Deno.mkdir(path);
  await copyProject(dir, TASKFILE);
  const ports = portFlags();
  const startHub = async (home: string) => {
    const hub = stack.use(
      await spawnXtask(["up", "--json", "--no-agent", "--project", "default", "--project", "shop", ...ports], { home }),
    );
    return { hub, said: await hub.ready() };
  };
  const say = async (what: string, home: string) => {
    const { stdout, stderr } = await xtask(["task", "say", `WHAT=${what}`, "--on", "n1", "--json"], { home });
    return /"id":"(\w{26})"/.exec(stdout)?.[1] ?? assert.fail(stderr);
  };
  const first = await startHub(home);
  const { natsUrl: url = "" } = first.said;
  const { token } = JSON.parse((await xtask(["auth", "invite", "--json"], { home })).stdout);
  const args = ["agent", "--json", "--hub", url, "--join", token, "--name", "n1", "--allow", "task", "--dir", dir];
  const agent = stack.use(await spawnXtask(args, { home: join(folder, "edge"), cwd: dir }));
  await agent.ready();
  const before = await say("before", home);
  await xtask(["team", "say", "--context", "local.shop", "kept"], { home });

  await t.step("it is backed up while it runs, once into one folder", async () => {
    const made = await xtask(["hub", "backup", backup, "--json"], { home });
    assert.equal(made.code, 0, made.stderr);
    assert.deepEqual(JSON.parse(made.stdout).projects, ["default", "shop"]);
    assert.equal((await xtask(["hub", "backup", backup], { home })).code, 5);
    if (Deno.build.os !== "windows") assert.equal(((await Deno.stat(backup)).mode ?? 0) & 0o077, 0, "it holds keys");
  });
  const after = await say("after", home);

  await t.step("where a hub is, and of a backup that is damaged, none is made", async () => {
    assert.equal((await xtask(["hub", "restore", backup], { home })).code, 5);
    const damaged = join(folder, "damaged");
    await new Deno.Command("cp", { args: ["-r", backup, damaged] }).output();
    const file = join(damaged, "default", "XTASK_RESULTS.stream");
    const bytes = await Deno.readFile(file);
    bytes[bytes.length >> 1]! ^= 1;
    await Deno.writeFile(file, bytes);
    const refused = await xtask(["hub", "restore", damaged], { home: again });
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /XTASK_RESULTS\.stream is not what was written/);
    assert.equal((await xtask(["hub", "restore", join(folder, "nosuch")], { home: again })).code, 4);
    await assert.rejects(Deno.stat(join(again, "hub", "keys.json")));
  });

  first.hub.kill("SIGKILL");
  await first.hub.status;
  await endProcesses({ groups: [], mark: serverMark(`${home}/hub/nats`) });
  await Deno.remove(home, { recursive: true });

  await t.step(
    "it is made again of the backup, says what is missing, and its nodes are back by themselves",
    async () => {
      const restored = await xtask(["hub", "restore", backup], { home: again });
      assert.equal(restored.code, 0, restored.stderr);
      assert.match(restored.stderr, /Missing is what happened after 20\d\d-/);
      await startHub(again);
      // A hub takes the nodes it knows for there until it has waited for them.
      await until(
        "the node to be back",
        async () => (await xtask(["task", "list", "--on", "n1"], { home: again })).code === 0,
        { timeoutMs: 60_000 },
      );
      assert.match((await xtask(["commands", "logs", before], { home: again })).stdout, /said before/);
      const shown = await xtask(["commands", "show", before, "--json"], { home: again });
      assert.equal(JSON.parse(shown.stdout).runs.n1.state, "succeeded");
      assert.equal((await xtask(["commands", "show", after], { home: again })).code, 4, "it came after the backup");
      const { stdout: events } = await xtask(["events", "--no-follow", "--json"], { home: again });
      assert.equal(events.match(/command_result/g)?.length, 1, "what has come out of a stream does so no second time");
      const notes = await xtask(["team", "watch", "--no-follow", "--context", "local.shop"], { home: again });
      assert.match(notes.stdout, /kept/);
      const anew = await say("anew", again);
      await until(
        "its output to be kept",
        async () => /said anew/.test((await xtask(["commands", "logs", anew], { home: again })).stdout),
        { timeoutMs: 60_000 },
      );
    },
  );
});
