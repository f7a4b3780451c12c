import assert from "node:assert/strict";
import { connectFleet, type Fleet } from "../../lib/client/fleet.ts";
import { readStream, STREAM } from "../../lib/nats/streams.ts";
import { markOf, sendSignal, survivors } from "../../lib/os/processes.ts";
import { leaseTimes } from "../../lib/protocol/lease.ts";
import { LEASE_MS } from "../../lib/protocol/limits.ts";
import { type CommandRecord, Result } from "../../lib/protocol/run.ts";
import { parseJson } from "../../lib/protocol/parse.ts";
import { hubSubject, leaseRenewSubject, statusSubject, storedResults } from "../../lib/protocol/subjects.ts";
import { hear } from "../asking.ts";
import { copyProject, startFleet, temporaryFolder, type TestFleet } from "../fleet.ts";
import { assertApart, attemptsIn, beating, inState, letEnd, type Ran, recordOf, running, submit } from "../moving.ts";
import { until } from "../until.ts";
import { spawnXtask, type XtaskProcess } from "../xtask_process.ts";
import { guardsOf } from "./children.ts";
import { startHubProcess, startNodeProcess } from "./ground.ts";
import { relayTo } from "./relay.ts";

/** Where the figure itself is not the point. */
const SHORT_MS = 6_000;

interface Ground {
  readonly folder: string;
  readonly all: TestFleet;
  readonly fleet: Fleet;
}

async function ground(stack: AsyncDisposableStack, leaseMs: number, more = ""): Promise<Ground> {
  const folder = await temporaryFolder(stack);
  const taskfile = beating(folder) + more;
  const all = stack.use(await startFleet({ nodes: [], leaseMs, taskfile, allow: ["task"] }));
  const fleet = stack.use(await connectFleet({ servers: all.url, creds: all.up.adminCreds }));
  return { folder, all, fleet };
}

/** A node as a process, which can be killed and stopped. */
async function nodeProcess(stack: AsyncDisposableStack, { folder, all }: Ground, id: string) {
  const [home, dir] = [`${all.folder}/${id}`, `${all.folder}/${id}/project`];
  await copyProject(dir, beating(folder));
  const args = ["agent", "--json", "--client", "--hub", all.url, "--name", id, "--allow", "task", "--dir", dir];
  const start = async (more: string[] = []): Promise<XtaskProcess> => {
    const agent = stack.use(await spawnXtask([...args, ...more], { home, cwd: dir }));
    await agent.ready();
    return agent;
  };
  const { token } = await all.up.hub.invite("node");
  return { agent: await start(["--join", token]), start };
}

/** A run on n1, a process of its own, that does not end when it is told to; n2 could have it next. */
async function stubbornOnFirst(stack: AsyncDisposableStack) {
  const one = await ground(stack, SHORT_MS);
  const { agent } = await nodeProcess(stack, one, "n1");
  const { id } = await submit(one.fleet, "stubborn");
  await running(one.folder, 1);
  await one.all.start("n2");
  return { one, agent, id };
}

/** Resolves when attempt 2 has taken over from attempt 1, which ran on n1; asserts that it did so in time, and not too soon. */
async function takenOver({ folder, all }: Ground, leaseMs: number): Promise<[Ran, Ran]> {
  // It may not take n2 before there is one.
  const second = await running(folder, 2, 3 * leaseMs + 10_000);
  const [first] = await attemptsIn(folder);
  assert.ok(first !== undefined);
  assert.deepEqual([first.node, second.node], ["n1", "n2"], all.logText());
  return [first, second];
}

/** All results of a command that came to the hub, by attempt. */
async function resultsOf(fleet: Fleet, id: string): Promise<Map<number, Result[]>> {
  const found = new Map<number, Result[]>();
  for await (
    const { data } of readStream(fleet.bus, STREAM.results, { subjects: [storedResults(id)], from: "first" })
  ) {
    const result = parseJson(Result, new TextDecoder().decode(data), "result");
    found.set(result.attempt, [...found.get(result.attempt) ?? [], result]);
  }
  return found;
}

/** Asserts how it ended: attempt 2 on n2 is the outcome, and what attempt 1 on n1 told, sooner or later, is kept as stale. */
async function endedOnSecond({ folder, fleet }: Ground, id: string): Promise<CommandRecord> {
  await letEnd(folder);
  await inState(fleet, id, "succeeded");
  const results = await until("the result of attempt 1", async () => {
    const all = await resultsOf(fleet, id);
    return all.has(1) && all.has(2) ? all : undefined;
  }, { timeoutMs: 60_000 });
  assert.deepEqual([...results.values()].map((all) => all.length), [1, 1], "each once");
  const record = await until("the record to know of attempt 1", async () => {
    const known = await recordOf(fleet, id);
    return known.runs.n1?.finishedAt === undefined ? undefined : known;
  });
  const { move, runs } = record;
  assert.deepEqual([move?.attempt, move?.node, move?.lost.map(({ attempt, node }) => [attempt, node])], [2, "n2", [
    [1, "n1"],
  ]]);
  assert.deepEqual([runs.n1?.state, runs.n1?.stale], ["interrupted", true]);
  assert.deepEqual([runs.n2?.state, runs.n2?.stale, runs.n2?.attempt], ["succeeded", undefined, 2]);
  return record;
}

Deno.test("the link of a node is cut during a run that may move", async (t) => {
  await using stack = new AsyncDisposableStack();
  const one = await ground(stack, LEASE_MS);
  const { folder, all, fleet } = one;
  const link = stack.use(relayTo(all.up.server.leafPort ?? 0));
  await all.start({ id: "n1", leaf: { port: link.port } });
  await until("the node at the hub", () => all.up.hub.fleet.get("n1")?.state === "online");
  const { id } = await submit(fleet, "stubborn");
  await running(folder, 1);
  await all.start("n2");
  using renewals = await hear(fleet.bus, leaseRenewSubject("n1"));
  const { renewMs, stopMs, killMs, regrantMs } = leaseTimes();

  await t.step("for less than its lease: it runs on, and nothing moves", async () => {
    await renewals.first();
    const heardAt = Date.now();
    // Else the answer is cut off as well, and the renewal before counts.
    await until("its answer to have come", () => Date.now() > heardAt + 1_000);
    link.cut();
    const cutAt = Date.now();
    await until("a third of its lease to pass", () => Date.now() - cutAt > LEASE_MS / 3);
    link.restore();
    const before = renewals.messages.length;
    await until("its renewal", () => renewals.messages.length > before, { timeoutMs: 10_000 });
    await until("the time of a lease to pass", () => Date.now() - cutAt > stopMs + 1_000, {
      timeoutMs: stopMs + 5_000,
    });
    const attempts = await attemptsIn(folder);
    assert.deepEqual(attempts.map(({ attempt }) => attempt), [1]);
    assert.ok((attempts[0]?.last ?? 0) > Date.now() - 1_000);
    assert.equal((await recordOf(fleet, id)).move?.lost.length, 0);
  });

  await t.step("for longer: it has ended by itself before another node starts it", async () => {
    const before = renewals.messages.length;
    await until("a renewal", () => renewals.messages.length > before, { timeoutMs: 10_000 });
    const renewedAt = Date.now();
    link.cut();
    const [first, second] = await takenOver(one, LEASE_MS);
    assertApart(await attemptsIn(folder));
    // It does not end when it is told to, so it was ended by force. The answer to what was heard may have been cut off: then
    // the renewal before counts.
    const [stopped, begun] = [first.last - renewedAt, second.first - renewedAt];
    assert.ok(
      stopped > stopMs - renewMs && stopped < LEASE_MS,
      `it ended ${stopped} ms after its last renewal, not near ${killMs}`,
    );
    assert.ok(begun > regrantMs - 100 && begun < regrantMs + 5_000, `the next began after ${begun} ms`);
  });

  await t.step("when it is back its result is kept as stale, and is not the outcome", async () => {
    link.restore();
    const { runs } = await endedOnSecond(one, id);
    assert.match(runs.n1?.error?.message ?? "", /hub could not be reached/);
  });
  await all[Symbol.asyncDispose]();
});

Deno.test("a node is killed during a run that may move: another one has it, and the outcome is told once", async () => {
  await using stack = new AsyncDisposableStack();
  const one = await ground(stack, SHORT_MS);
  const { folder, all, fleet } = one;
  const { agent, start } = await nodeProcess(stack, one, "n1");
  const { id } = await submit(fleet, "beat");
  await running(folder, 1);
  await all.start("n2");
  agent.kill("SIGKILL");
  const killedAt = Date.now();
  const [first, second] = await takenOver(one, SHORT_MS);
  const tookMs = second.first - killedAt;
  assert.ok(tookMs < leaseTimes(SHORT_MS).regrantMs + 5_000, `the next began after ${tookMs} ms`);
  assert.ok(first.last < second.first, "what it started went with it");
  await start();
  await endedOnSecond(one, id);
  assert.deepEqual(await survivors({ groups: [], mark: markOf("n1", id) }), []);
});

Deno.test({
  name: "an agent is stopped by the system for longer than its lease: its run has ended before another node starts it",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using stack = new AsyncDisposableStack();
    const { one, agent, id } = await stubbornOnFirst(stack);
    using renewals = await hear(one.fleet.bus, leaseRenewSubject("n1"));
    await renewals.first();
    // The answer to that one counts or not, as it happens.
    Deno.kill(agent.pid, "SIGSTOP");
    const stoppedAt = Date.now();
    const [first] = await takenOver(one, SHORT_MS);
    assertApart(await attemptsIn(one.folder));
    const { renewMs, guardMs } = leaseTimes(SHORT_MS);
    assert.ok(first.last - stoppedAt > guardMs - renewMs - 500, "it was ended by nothing before its time");
    assert.deepEqual(await survivors({ groups: [], mark: markOf("n1", id) }), []);
    Deno.kill(agent.pid, "SIGCONT");
    const { runs } = await endedOnSecond(one, id);
    assert.match(runs.n1?.error?.message ?? "", /hub could not be reached/);
  },
});

Deno.test({
  name:
    "an agent is stopped for longer than its lease, and nothing guards it: when it goes on it ends its run before it tells anything",
  ignore: Deno.build.os !== "linux",
  async fn() {
    await using stack = new AsyncDisposableStack();
    const { one, agent, id } = await stubbornOnFirst(stack);
    Deno.kill(agent.pid, "SIGSTOP");
    for (const guard of guardsOf(agent.pid)) assert.ok(sendSignal(guard, "SIGKILL"));
    await takenOver(one, SHORT_MS);
    Deno.kill(agent.pid, "SIGCONT");
    const goesOnAt = Date.now();
    await until("it to be over", async () => (await survivors({ groups: [], mark: markOf("n1", id) })).length === 0);
    assert.ok(Date.now() - goesOnAt < 2_000, "at once, without the grace that it would have had before");
    const { runs } = await endedOnSecond(one, id);
    assert.match(runs.n1?.error?.message ?? "", /hub could not be reached/);
  },
});

Deno.test("a hub goes during a run that may move", async (t) => {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const hub = await startHubProcess(stack, folder);
  const node = await startNodeProcess(stack, hub, folder, { id: "n1", taskfile: beating(folder), slots: 1 });
  const fleet = stack.use(await connectFleet({ servers: hub.url, creds: hub.adminCreds }));
  const { id } = await submit(fleet, "beat");
  await running(folder, 1);
  await inState(fleet, id, "running");

  await t.step("and is back within its lease: nothing moves", async () => {
    await hub.kill();
    await hub.start();
    const backAt = Date.now();
    await until("the time of a lease to pass", () => Date.now() - backAt > leaseTimes().regrantMs + 1_000, {
      timeoutMs: 30_000,
    });
    const attempts = await attemptsIn(folder);
    assert.deepEqual(attempts.map(({ attempt }) => attempt), [1], node.stderrText());
    assert.ok((attempts[0]?.last ?? 0) > Date.now() - 1_000, "it runs");
    const { move } = await inState(fleet, id, "running");
    assert.deepEqual([move?.attempt, move?.lost], [1, []]);
  });

  await t.step("and is back later: the run has ended meanwhile, and is started again", async () => {
    await hub.kill();
    const last = async () => (await attemptsIn(folder))[0]?.last ?? 0;
    await until("the run to end by itself", async () => Date.now() - await last() > 1_000, {
      timeoutMs: LEASE_MS + 10_000,
    });
    await hub.start();
    const second = await running(folder, 2, 30_000);
    assert.equal(second.node, "n1");
    assertApart(await attemptsIn(folder));
    await letEnd(folder);
    const { move, runs } = await inState(fleet, id, "succeeded");
    assert.deepEqual([move?.attempt, move?.lost.length, runs.n1?.attempt], [2, 1, 2]);
  });
});

Deno.test("a run that may move is cancelled while its node is out of reach: it ends with its lease and moves nowhere", async () => {
  await using stack = new AsyncDisposableStack();
  const one = await ground(stack, SHORT_MS);
  const { folder, all, fleet } = one;
  const link = stack.use(relayTo(all.up.server.leafPort ?? 0));
  await all.start({ id: "n1", leaf: { port: link.port } });
  await until("the node at the hub", () => all.up.hub.fleet.get("n1")?.state === "online");
  const { id } = await submit(fleet, "beat");
  await running(folder, 1);
  await all.start("n2");
  link.cut();
  await until(
    "the node to be out of reach",
    () => fleet.bus.request(statusSubject("n1"), "", { timeoutMs: 500 }).then(() => false, () => true),
  );
  const answer = await fleet.bus.request(hubSubject("command", "cancel"), JSON.stringify({ id }), {
    timeoutMs: 20_000,
  });
  assert.deepEqual(JSON.parse(answer.text()).outcomes, { n1: "unreachable" });
  const { move } = await inState(fleet, id, "cancelled");
  assert.equal(move?.ended?.error?.code, "cancelled");
  assert.deepEqual((await attemptsIn(folder)).map(({ attempt }) => attempt), [1]);
  link.restore();
  await until("the node back", () => all.up.hub.fleet.get("n1")?.state === "online", { timeoutMs: 30_000 });
  await all[Symbol.asyncDispose]();
});

/** Takes the processor, and writes as fast as anybody reads, until the test says that it is enough. */
const BUSY = `
for n in 1 2 3 4; do (while :; do :; done) & busy="$busy $!"; done
while [ ! -e enough ]; do head -c 10000000 /dev/zero | tr '\\0' x; done
kill $busy
`;

Deno.test("the work of a run does not hold up the renewals of its node", async () => {
  await using stack = new AsyncDisposableStack();
  const busy = `
  busy: sh busy.sh
`;
  const { all, fleet } = await ground(stack, SHORT_MS, busy);
  const { dir } = await all.start("n1");
  await Deno.writeTextFile(`${dir}/busy.sh`, BUSY);
  const at: number[] = [];
  using _renewals = fleet.bus.subscribe(leaseRenewSubject("n1"), () => void at.push(performance.now()));
  const { id } = await submit(fleet, "busy");
  await until("renewals", () => at.length >= 4, { timeoutMs: 60_000 });
  await Deno.writeTextFile(`${dir}/enough`, "");
  const { move } = await inState(fleet, id, "succeeded", 120_000);
  assert.deepEqual([move?.attempt, move?.lost], [1, []]);
  const gaps = at.slice(1).map((moment, index) => moment - (at[index] ?? 0));
  const { renewMs, stopMs } = leaseTimes(SHORT_MS);
  assert.ok(Math.max(...gaps) < (renewMs + stopMs) / 2, `renewals came ${gaps.map(Math.round)} ms apart`);
});
