import assert from "node:assert/strict";
import { follow, type FollowEvent, storedLogs } from "../../lib/client/follow.ts";
import { openBus } from "../../lib/nats/bus.ts";
import { serverMark } from "../../lib/nats/server.ts";
import { readStream, STREAM } from "../../lib/nats/streams.ts";
import { survivors } from "../../lib/os/processes.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { hubSubject } from "../../lib/protocol/subjects.ts";
import { ask, ongoing } from "../asking.ts";
import { counted, countedIn, COUNTING, openGate, toldText } from "../counting.ts";
import { copyProject, temporaryFolder } from "../fleet.ts";
import { portFlags } from "../free_ports.ts";
import { until } from "../until.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";

Deno.test("a hub is killed during a run on another machine: started again, it has the run, its output and its end", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const [home, dir] = [`${folder}/hub`, `${folder}/edge/project`];
  await Deno.mkdir(home);
  await copyProject(dir, COUNTING);
  const ports = portFlags();
  const startHub = async () => {
    const hub = stack.use(await spawnXtask(["up", "--json", "--no-agent", "--project", "default", ...ports], { home }));
    return { hub, said: await hub.ready() };
  };
  const first = await startHub();
  const { natsUrl: url = "", httpUrl = "" } = first.said;
  const servers = () => survivors({ groups: [], mark: serverMark(`${home}/hub/nats`) });
  const [orphan] = await servers();
  assert.ok(orphan !== undefined);
  const env = JSON.parse((await xtask(["env", "--json"], { home })).stdout);
  const { token } = JSON.parse((await xtask(["auth", "invite", "--json"], { home })).stdout);
  const args = ["agent", "--json", "--hub", url, "--join", token, "--name", "n1", "--allow", "task", "--dir", dir];
  const agent = stack.use(await spawnXtask(args, { home: `${folder}/edge`, cwd: dir }));
  await agent.ready();
  await using client = await openBus({ servers: url, creds: await Deno.readTextFile(env.NATS_CREDS) });
  const id = newCommandId();
  ongoing(await ask(client, "n1", "task.run", { args: ["count"] }, { id, waitMs: 0 }));
  const events: FollowEvent[] = [];
  const following = (async () => {
    for await (const event of follow(client, id, ["n1"])) events.push(event);
  })();
  await until("the output to come", () => events.some(({ type }) => type === "log"));

  first.hub.kill("SIGKILL");
  await first.hub.status;
  assert.deepEqual(await servers(), [orphan], "its server outlives it, which is the fault");
  const before = await countedIn(dir);
  const second = await startHub();
  assert.deepEqual([second.said.natsUrl, second.said.httpUrl], [url, httpUrl]);
  const now = await servers();
  assert.ok(now.length === 1 && now[0] !== orphan, "the orphan was taken down, and there is one server");
  assert.ok(await countedIn(dir) > before, "the command went on meanwhile");
  await until("the follower to be back", () => events.some(({ type }) => type === "found"));

  await openGate(dir);
  await following;
  const lines = counted(await countedIn(dir));
  assert.equal(toldText(events), lines);
  assert.ok(events.every(({ type }) => type !== "gap"));
  const end = events.at(-1);
  assert.ok(end?.type === "result");
  assert.deepEqual([end.result.state, end.result.attempt, end.result.output.bytes], ["succeeded", 1, lines.length]);
  assert.equal(await Deno.readTextFile(`${dir}/runs`), "ran\n");

  const record = await until("the new hub to know the end", async () => {
    const show = JSON.parse((await client.request(hubSubject("command", "show"), JSON.stringify({ id }))).text());
    return show.runs.n1?.finishedAt === undefined ? undefined : show;
  });
  assert.deepEqual([record.capability, record.runs.n1.state, record.runs.n1.attempt], ["task", "succeeded", 1]);
  const types: string[] = [];
  for await (const { data } of readStream(client, STREAM.events, { subjects: ["xtask.events.>"], from: "first" })) {
    const event = JSON.parse(new TextDecoder().decode(data));
    if (event.command === id) types.push(event.type);
  }
  assert.deepEqual(types, ["command_accepted", "command_started", "command_result"]);
  await until("all output to be kept", async () => {
    const stored: FollowEvent[] = [];
    for await (const event of storedLogs(client, { id })) stored.push(event);
    return toldText(stored) === lines;
  }, { timeoutMs: 60_000 });
});
