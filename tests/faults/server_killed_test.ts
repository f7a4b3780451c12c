import assert from "node:assert/strict";
import { follow, type FollowEvent, storedLogs } from "../../lib/client/follow.ts";
import { lastOf, STREAM } from "../../lib/nats/streams.ts";
import { sendSignal } from "../../lib/os/processes.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { ask, ended, ongoing, resultOf } from "../asking.ts";
import { counted, countedIn, COUNTING, openGate, toldText } from "../counting.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { spawnXtask } from "../xtask_process.ts";

Deno.test("nats-server is killed while a command runs: it comes back on its port, and nothing is lost", async () => {
  await using fleet = await startFleet({ taskfile: COUNTING });
  const { admin, up, url } = fleet;
  const { dir } = fleet.node("n1");
  const id = newCommandId();
  ongoing(await ask(admin, "n1", "task.run", { args: ["count"] }, { id, waitMs: 0 }));
  const events: FollowEvent[] = [];
  const following = (async () => {
    for await (const event of follow(admin, id, ["n1"])) events.push(event);
  })();
  const told = (type: FollowEvent["type"]) => events.some((event) => event.type === type);
  await until("the output to come", () => told("log"));

  const { pid } = up.server;
  sendSignal(pid, "SIGKILL");
  await until("the follower to say that the hub is lost", () => told("lost"));
  const before = await countedIn(dir);
  await until("the command to go on meanwhile", async () => await countedIn(dir) > before);
  await until("the server to be back", () => up.server.pid !== pid);
  await until("the follower to say that the hub is found", () => told("found"));
  assert.equal(up.server.url, url);
  const alert = await until(
    "the alert",
    // The stream itself may need a moment after the server.
    () => lastOf(admin, STREAM.alerts, "xtask.alerts.critical.hub").catch(() => undefined),
    { timeoutMs: 60_000 },
  );
  assert.match(alert.text, /nats-server died and was started again/);

  await openGate(dir);
  await following;
  const lines = counted(await countedIn(dir));
  // On a slow machine the node comes back a little after the hub, and is told of as silent meanwhile.
  const types = events.map(({ type }) => type).filter((type) => type !== "log" && type !== "silent");
  assert.deepEqual(types, ["lost", "found", "result"]);
  assert.equal(toldText(events), lines);
  // The streams that people read follow the hub's own one; their sources need a moment after a restart.
  await until("all of it to be kept", async () => {
    const stored: FollowEvent[] = [];
    for await (const event of storedLogs(admin, { id })) stored.push(event);
    return toldText(stored) === lines;
  }, { timeoutMs: 60_000 });
  const result = await resultOf(admin, "n1", id);
  assert.deepEqual([result.state, result.output.bytes], ["succeeded", lines.length]);
  await until("the hub to know", () => up.hub.commands.get(id)?.runs.n1?.state === "succeeded");
  assert.equal(ended(await ask(admin, "n1", "which.check", { names: ["sh"] })).state, "succeeded");
});

Deno.test("whoever watches at a terminal is told that the hub is out of sight, and sees all of the output once it is back", async () => {
  await using fleet = await startFleet({ taskfile: COUNTING });
  const { dir } = fleet.node("n1");
  const creds = `${fleet.folder}/admin.creds`;
  await Deno.writeTextFile(creds, fleet.up.adminCreds, { mode: 0o600 });
  await using watching = await spawnXtask(["task", "count", "--on", "n1"], {
    home: fleet.folder,
    env: { XTASK_NATS_URL: fleet.url, XTASK_NATS_CREDS: creds },
  });
  await until("the output to come", () => watching.stdoutText() !== "", { timeoutMs: 30_000 });
  sendSignal(fleet.up.server.pid, "SIGKILL");
  const told = async (words: RegExp) =>
    await until(String(words), () => words.test(watching.stderrText()), { timeoutMs: 30_000 });
  await told(/Lost sight of the hub; the command goes on/);
  await told(/The hub is back; picking up again/);
  await openGate(dir);
  assert.equal((await watching.status).code, 0);
  await watching.closed;
  assert.equal(watching.stdoutText(), counted(await countedIn(dir)));
});
