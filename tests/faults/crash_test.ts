/** kill -9 of each process while a command runs: what was promised holds all the same. */
import assert from "node:assert/strict";
import { openBus } from "../../lib/nats/bus.ts";
import { follow } from "../../lib/client/follow.ts";
import { connectFleet } from "../../lib/client/fleet.ts";
import { readStream, STREAM } from "../../lib/nats/streams.ts";
import { markOf, survivors } from "../../lib/os/processes.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { ALERTS_STORED, logsOfCommand } from "../../lib/protocol/subjects.ts";
import { ask, ended, ongoing, resultOf, runsIn } from "../asking.ts";
import { copyProject, startFleet, temporaryFolder } from "../fleet.ts";
import { until } from "../until.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";

/** Prints numbered lines until there is a file `open`; leaves a daemon behind that has left its process group. */
const COUNTING = `
version: "3"
silent: true
tasks:
  count:
    cmds:
      - echo run >> runs
      - setsid sh -c 'setsid sleep 600 >/dev/null 2>&1 &'
      - i=0; while [ ! -e open ]; do i=$((i+1)); echo line $i; sleep 0.02; done; echo last $i
`;

/** The whole stored output of a command. */
async function stored(bus: Parameters<typeof readStream>[0], id: string): Promise<string> {
  let text = "";
  for await (const { data } of readStream(bus, STREAM.logs, { subjects: [logsOfCommand(id)], from: "first" })) {
    text += new TextDecoder().decode(data);
  }
  return text;
}

function assertComplete(text: string): void {
  const lines = text.trimEnd().split("\n");
  const last = Number(lines.pop()?.replace("last ", ""));
  assert.deepEqual(lines, Array.from({ length: last }, (_, at) => `line ${at + 1}`));
}

Deno.test("a killed agent's run is reported as interrupted at its return, never run again, and nothing of it lives on", async () => {
  await using fleet = await startFleet({ nodes: [] });
  const home = `${fleet.folder}/edge/home`;
  const dir = `${fleet.folder}/edge/project`;
  await copyProject(dir, COUNTING);
  const { token } = await fleet.up.hub.invite("node");
  const args = ["agent", "--json", "--hub", fleet.url, "--name", "edge", "--allow", "task", "--dir", dir];
  const id = newCommandId();
  {
    await using agent = await spawnXtask([...args, "--join", token], { home, cwd: fleet.folder });
    await agent.ready();
    ongoing(await ask(fleet.admin, "edge", "task.run", { args: ["count"] }, { id, waitMs: 0 }));
    await until("the daemon", async () => (await survivors({ groups: [], mark: markOf("edge", id) })).length >= 3);
    agent.kill("SIGKILL");
    await agent.status;
  }
  assert.ok((await survivors({ groups: [], mark: markOf("edge", id) })).length > 0, "something outlived the agent");
  await using agent = await spawnXtask(args, { home, cwd: fleet.folder });
  await agent.ready();
  assert.deepEqual(await survivors({ groups: [], mark: markOf("edge", id) }), []);
  assert.equal((await resultOf(fleet.admin, "edge", id)).state, "interrupted");
  const again = ended(await ask(fleet.admin, "edge", "task.run", { args: ["count"] }, { id }));
  assert.equal(again.state, "interrupted");
  assert.equal(await runsIn(dir), 1);
  await until("the hub's record", () => fleet.up.hub.commands.get(id)?.runs.edge?.state === "interrupted");
});

Deno.test("a killed nats-server is started again with an alert; the run goes on, and its log and result are complete", async () => {
  await using fleet = await startFleet({ nodes: [], allow: ["task"], taskfile: COUNTING });
  const { dir } = await fleet.start("n1");
  await using client = await connectFleet({ servers: fleet.url, creds: fleet.up.adminCreds });
  const id = newCommandId();
  ongoing(await ask(fleet.admin, "n1", "task.run", { args: ["count"] }, { id, waitMs: 0 }));
  const seen: string[] = [];
  let text = "";
  const following = (async () => {
    for await (const event of follow(client.bus, id, ["n1"])) {
      if (event.type === "log") { for (const { bytes } of event.pieces) text += new TextDecoder().decode(bytes); }
      // On a slow machine the node comes back a little after the hub, and is told of as silent meanwhile.
      else if (event.type !== "silent") seen.push(event.type);
    }
  })();
  await until("output", () => text.includes("line 5\n"));
  const { pid } = fleet.up.server;
  Deno.kill(pid, "SIGKILL");
  await until("another server", () => fleet.up.server.pid !== pid, { timeoutMs: 20_000 });
  await until("the link", () => seen.includes("found"), { timeoutMs: 20_000 });
  await Deno.writeTextFile(`${dir}/open`, "");
  await following;
  assert.deepEqual(seen, ["lost", "found", "result"]);
  assertComplete(text);
  assertComplete(await stored(client.bus, id));
  assert.equal((await resultOf(client.bus, "n1", id)).state, "succeeded");
  await until("the alert", async () => {
    for await (const { data } of readStream(client.bus, STREAM.alerts, { subjects: [ALERTS_STORED], from: "first" })) {
      if (/nats-server died/.test(new TextDecoder().decode(data))) return true;
    }
    return false;
  });
});

Deno.test("a killed hub that is started again has the result, the events and the whole log of a run that went on", async () => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const home = `${folder}/hub`;
  const dir = `${folder}/edge/project`;
  await Deno.mkdir(home);
  await copyProject(dir, COUNTING);
  const ports: string[] = ["--nats-port", "0", "--leaf-port", "0", "--http-port", "0"];
  const up = (args: string[]) => spawnXtask(["up", "--json", "--no-agent", ...args], { home, cwd: dir });
  const first = stack.use(await up(ports));
  const { natsUrl = "" } = await first.ready();
  const invited = await xtask(["auth", "invite", "--json"], { home, cwd: dir });
  const { token } = JSON.parse(invited.stdout);
  const agent = stack.use(
    await spawnXtask(["agent", "--json", "--hub", natsUrl, "--join", token, "--name", "edge", "--allow", "task"], {
      home: `${folder}/edge/home`,
      cwd: dir,
    }),
  );
  await agent.ready();
  const started = await xtask(["run", "count", "--on", "edge", "--detach"], { home, cwd: dir });
  const id = started.stdout.trim();
  await until("the run", async () => await runsIn(dir) === 1);
  first.kill("SIGKILL");
  await first.status;
  const second = stack.use(await up(["--nats-port", new URL(natsUrl).port, "--leaf-port", "0", "--http-port", "0"]));
  await second.ready();
  await Deno.writeTextFile(`${dir}/open`, "");
  const creds = await Deno.readTextFile(`${home}/config/contexts/local.creds`);
  await using bus = await openBus({ servers: natsUrl, creds });
  await until("the hub's record", async () => {
    const shown = await xtask(["commands", "show", id, "--json"], { home, cwd: dir });
    return shown.code === 0 && JSON.parse(shown.stdout).runs.edge?.state === "succeeded";
  }, { timeoutMs: 30_000 });
  assert.equal((await resultOf(bus, "edge", id)).state, "succeeded");
  assertComplete(await stored(bus, id));
});
