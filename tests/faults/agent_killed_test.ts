import assert from "node:assert/strict";
import { serverMark } from "../../lib/nats/server.ts";
import { markOf, sendSignal, survivors } from "../../lib/os/processes.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { eventSubject } from "../../lib/protocol/subjects.ts";
import { guardsOf } from "./children.ts";
import { ask, ended, hear, hearResult, ongoing, resultOf, runsIn } from "../asking.ts";
import { copyProject, startFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { spawnXtask } from "../xtask_process.ts";

/** Leaves one child in the run's group, and one that forked twice into a session of its own. Both are deaf to SIGTERM. */
const SCRIPT = `echo ran >> runs
trap '' TERM
(setsid sh -c 'echo $$ > away; while :; do sleep 1; done' &)
sh -c 'echo $$ > stays; exec sleep 300' &
echo working
wait
`;
const TASKFILE = `
version: "3"
silent: true
tasks:
  work:
    cmds: [sh work.sh]
`;

Deno.test(
  "what a killed agent was running ends at once, is told as interrupted when it is back, and runs nothing twice",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    await using fleet = await startFleet({ nodes: [] });
    const { admin } = fleet;
    const dir = `${fleet.folder}/edge/project`;
    await copyProject(dir, TASKFILE);
    await Deno.writeTextFile(`${dir}/work.sh`, SCRIPT);
    const { token } = await fleet.up.hub.invite("node");
    const args = ["agent", "--json", "--hub", fleet.url, "--name", "edge", "--allow", "task,which", "--dir", dir];
    const start = (more: readonly string[] = []) =>
      spawnXtask([...args, ...more], { home: `${fleet.folder}/edge`, cwd: dir });
    await using killed = await start(["--join", token]);
    await killed.ready();
    const id = newCommandId();
    const mark = markOf("edge", id);
    const input = { args: ["work"] };
    using results = await hearResult(admin, id);
    using alerts = await hear(admin, eventSubject("default", "alert"));
    ongoing(await ask(admin, "edge", "task.run", input, { id, waitMs: 0 }));
    const pidIn = (name: string) =>
      until(
        `the pid in ${name}`,
        async () => Number(await Deno.readTextFile(`${dir}/${name}`).catch(() => "")) || undefined,
      );
    const pids = [await pidIn("away"), await pidIn("stays")];
    const before = await survivors({ groups: [], mark });
    assert.ok(pids.every((pid) => before.includes(pid)), `${before} are its processes, with ${pids}`);
    const [guard] = guardsOf(killed.pid);
    assert.ok(guard !== undefined);
    const leaf = `${fleet.folder}/edge/agent/leaf`;
    const servers = () => survivors({ groups: [], mark: serverMark(leaf) });
    assert.equal((await servers()).length, 1, "a server of its own");

    killed.kill("SIGKILL");
    await killed.status;
    await until("its processes to be gone, though nobody starts it again", async () => {
      return (await survivors({ groups: [], mark })).length === 0;
    }, { timeoutMs: 20_000 });
    await until("its server to be gone", async () => (await servers()).length === 0);
    assert.match(await Deno.readTextFile(`${leaf}/nats-server.log`), /Server Exiting/, "in order, not by force");
    await until("the guard to have gone too", () => !sendSignal(guard, 0));

    await using back = await start();
    await back.ready();
    const result = await resultOf(admin, "edge", id);
    assert.deepEqual([result.state, result.error?.code, result.attempt], ["interrupted", "unavailable", 1]);
    assert.equal(JSON.parse((await results.first()).text()).state, "interrupted", "everybody hears of it");
    await alerts.first((message) => message.text().includes(id));
    await until("the hub to know", () => fleet.up.hub.commands.get(id)?.runs.edge?.state === "interrupted");

    assert.deepEqual(ended(await ask(admin, "edge", "task.run", input, { id })), result, "the same id runs nothing");
    assert.equal(await runsIn(dir), 1);
    assert.equal(results.messages.length, 1);
    assert.equal(ended(await ask(admin, "edge", "which.check", { names: ["sh"] })).state, "succeeded");
  },
);
