/** Runs that outlive their agent: it stops or is killed, and the next one takes them over with all that they wrote. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { sumOf } from "../../lib/agent/journal.ts";
import { connect } from "../../lib/client/connect.ts";
import { storedLogs } from "../../lib/client/follow.ts";
import { readStream, STREAM } from "../../lib/nats/streams.ts";
import { markOf, sendSignal, survivors } from "../../lib/os/processes.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { CancelReply, HEADER, Reply } from "../../lib/protocol/run.ts";
import { commandSubject, runSubject, storedResult } from "../../lib/protocol/subjects.ts";
import { parseJson } from "../../lib/protocol/parse.ts";
import { ask, ongoing, refused, resultOf, runsIn } from "../asking.ts";
import { copyProject, startFleet, type TestFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { spawnXtask, type XtaskProcess } from "../xtask_process.ts";

const UNIX = { ignore: Deno.build.os === "windows" };
/** In the first part as fast as it goes, then waits for the test, then the second part. */
const [FIRST, ALL] = [300_000, 450_000];
const TASKFILE = `
version: "3"
silent: true
tasks:
  count:
    cmds:
      - printf '%s\\n' {{.XTASK_COMMAND_ID}} >> runs
      - sh count.sh
  wait:
    cmds:
      - printf '%s\\n' {{.XTASK_COMMAND_ID}} >> runs
      - sh wait.sh
`;
const COUNT = `seq 1 ${FIRST}
while [ ! -e open ]; do sleep 0.02; done
seq ${FIRST + 1} ${ALL}
exit 7
`;
/** Leaves a daemon, and says when it is told to end. */
const WAIT = `trap 'echo told; exit 3' TERM
(setsid sleep 300 &)
echo waiting
while [ ! -e open ]; do sleep 0.05; done
echo through
`;
/** Task has the last word, which it says on standard error. */
const LAST = 'task: Failed to run task "count": exit status 7\n';
const OUTPUT = Array.from({ length: ALL }, (_, index) => `${index + 1}\n`).join("") + LAST;

interface Ground {
  readonly fleet: TestFleet;
  readonly node: string;
  readonly dir: string;
  readonly home: string;
  /** The agent that runs. */
  agent: XtaskProcess;
  start(): Promise<void>;
}

async function ground(stack: AsyncDisposableStack, fleet: TestFleet, node: string, leaf = false): Promise<Ground> {
  const [home, dir] = [`${fleet.folder}/${node}`, `${fleet.folder}/${node}/project`];
  await copyProject(dir, TASKFILE);
  await Deno.writeTextFile(`${dir}/count.sh`, COUNT);
  await Deno.writeTextFile(`${dir}/wait.sh`, WAIT);
  const { token } = await fleet.up.hub.invite("node");
  const args = ["agent", "--json", "--hub", fleet.url, "--name", node, "--allow", "task,which", "--dir", dir];
  let more = ["--join", token, ...(leaf ? [] : ["--client"])];
  const made = { fleet, node, dir, home } as Ground;
  made.start = async () => {
    made.agent = stack.use(await spawnXtask([...args, ...more], { home, cwd: dir }));
    await made.agent.ready();
    more = [];
    await until("it to answer", () => fleet.record(node).then(() => true, () => false));
  };
  await made.start();
  return made;
}

async function askKept(
  { fleet, node }: Ground,
  task: string,
  id: string,
  headers: Record<string, string> = {},
): Promise<Reply> {
  const answer = await fleet.admin.request(commandSubject(node, "task", "run"), JSON.stringify({ args: [task] }), {
    headers: { [HEADER.commandId]: id, [HEADER.wait]: "0", [HEADER.keep]: "true", ...headers },
  });
  return parseJson(Reply, answer.text(), "answer");
}

const storedOutput = async ({ fleet, node }: Ground, id: string) => {
  let text = "";
  const decoder = new TextDecoder();
  for await (const event of storedLogs(fleet.admin, { id, node })) {
    assert.equal(event.type, "log", "there is no gap");
    if (event.type !== "log") continue;
    assert.equal(event.offset, text.length, "nothing twice, nothing left out");
    for (const { bytes } of event.pieces) text += decoder.decode(bytes, { stream: true });
  }
  return text;
};

/** Bytes in the stream, repeats and all. */
async function storedBytes({ fleet, node }: Ground, id: string): Promise<number> {
  let bytes = 0;
  for await (
    const { data } of readStream(fleet.admin, STREAM.logs, { subjects: [`xtask.logs.${node}.${id}`], from: "first" })
  ) {
    bytes += data.length;
  }
  return bytes;
}

async function resultsStored({ fleet, node }: Ground, id: string): Promise<number> {
  let count = 0;
  for await (
    const _ of readStream(fleet.admin, STREAM.results, { subjects: [storedResult(id, node)], from: "first" })
  ) count++;
  return count;
}

const gone = ({ node }: Ground, id: string) =>
  until(
    "no process of it to be left",
    async () => (await survivors({ groups: [], mark: markOf(node, id) })).length === 0,
  );

const runningOf = ({ node }: Ground, id: string) => survivors({ groups: [], mark: markOf(node, id) });

for (const mode of ["client", "leaf"] as const) {
  for (const signal of ["SIGTERM", "SIGKILL"] as const) {
    Deno.test(
      `a kept run goes on through ${signal} of its agent, as ${mode}, and no byte is lost or told twice`,
      UNIX,
      async () => {
        await using fleet = await startFleet({ nodes: [] });
        await using stack = new AsyncDisposableStack();
        const it = await ground(stack, fleet, "n1", mode === "leaf");
        const id = newCommandId();
        ongoing(await askKept(it, "count", id));
        await until("some output", async () => await storedBytes(it, id) > 200_000);
        it.agent.kill(signal);
        assert.equal((await it.agent.status).signal ?? "SIGTERM", signal);
        assert.notDeepEqual(await runningOf(it, id), [], "it goes on");
        await it.start();
        await until("it to be taken over", async () => (await fleet.record("n1")).running.includes(id));
        await Deno.writeTextFile(`${it.dir}/open`, "");
        const result = await resultOf(fleet.admin, "n1", id);
        assert.deepEqual([result.state, result.exitCode, result.attempt], ["failed", 7, 1]);
        assert.deepEqual(result.data, { exitCode: 7 });
        assert.deepEqual([result.output.bytes, result.output.lines], [OUTPUT.length, ALL + 1]);
        assert.ok(result.output.head.startsWith("1\n2\n3\n") && OUTPUT.endsWith(result.output.tail));
        await until("all of its output", async () => (await storedOutput(it, id)).length === OUTPUT.length);
        assert.ok(await storedOutput(it, id) === OUTPUT);
        // An agent that stops in order notes where it stood; one that is killed does so every second.
        if (signal === "SIGTERM") assert.equal(await storedBytes(it, id), OUTPUT.length);
        assert.equal(await runsIn(it.dir), 1);
        assert.equal(await resultsStored(it, id), 1);
        await gone(it, id);
        await until(
          "nothing to be kept of it",
          async () => (await Array.fromAsync(Deno.readDir(`${it.home}/agent/kept`))).length === 0,
        );
      },
    );
  }
}

Deno.test("a kept run", UNIX, async (t) => {
  await using fleet = await startFleet({ nodes: [] });
  await using stack = new AsyncDisposableStack();
  const it = await ground(stack, fleet, "n1");
  const { admin } = fleet;
  const open = () => Deno.writeTextFile(`${it.dir}/open`, "");
  const shut = () => Deno.remove(`${it.dir}/open`);
  const begin = async (id: string, headers: Record<string, string> = {}) => {
    ongoing(await askKept(it, "wait", id, headers));
    await until("it to say so", async () => await storedBytes(it, id) > 0);
  };
  const stopped = async (signal: Deno.Signal) => {
    it.agent.kill(signal);
    await it.agent.status;
  };

  await t.step("that ends while no agent is there has its exit code and its output, and when it ended", async () => {
    const id = newCommandId();
    await begin(id);
    await stopped("SIGKILL");
    await open();
    await until("its end", () => Deno.stat(`${it.home}/agent/kept/${id}/code`).then(() => true, () => false));
    const before = Date.now();
    await until("a later moment", () => Date.now() > before + 50);
    await it.start();
    const result = await resultOf(admin, "n1", id);
    assert.deepEqual([result.state, result.exitCode, result.output.head], ["succeeded", 0, "waiting\nthrough\n"]);
    assert.ok(Date.parse(result.finishedAt) <= before, `${result.finishedAt} is when it ended`);
    await gone(it, id);
    await shut();
  });

  await t.step("does not hold up an agent that stops, and can be cancelled after it was taken over", async () => {
    const id = newCommandId();
    await begin(id);
    const begun = performance.now();
    await stopped("SIGTERM");
    assert.ok(performance.now() - begun < 10_000);
    await it.start();
    const answer = await admin.request(runSubject("n1", "cancel"), JSON.stringify({ id }), { timeoutMs: 15_000 });
    assert.equal(parseJson(CancelReply, answer.text(), "answer").outcome, "cancelled");
    const result = await resultOf(admin, "n1", id);
    assert.deepEqual([result.state, result.exitCode], ["cancelled", 3]);
    assert.match(result.output.head, /^waiting\n(.*\n)*told\n/, "what it says when it is told to end is there");
    await gone(it, id);
  });

  await t.step("is ended by its deadline after it was taken over", async () => {
    const id = newCommandId();
    await begin(id, { [HEADER.deadline]: new Date(Date.now() + 4_000).toISOString() });
    await stopped("SIGKILL");
    await it.start();
    const result = await resultOf(admin, "n1", id);
    assert.deepEqual([result.state, result.error?.code], ["failed", "timeout"]);
    await gone(it, id);
  });

  await t.step("whose process is killed while no agent is there is interrupted", async () => {
    const id = newCommandId();
    await begin(id);
    await stopped("SIGKILL");
    for (const pid of await runningOf(it, id)) sendSignal(pid, "SIGKILL");
    await it.start();
    const result = await resultOf(admin, "n1", id);
    assert.deepEqual([result.state, result.error?.code, result.output.head], [
      "interrupted",
      "unavailable",
      "waiting\n",
    ]);
  });

  await t.step("is interrupted where the machine was started anew meanwhile", async () => {
    const id = newCommandId();
    await begin(id);
    await stopped("SIGTERM");
    inJournal(`${it.home}/agent/journal.sqlite`, id, (accepted) => ({ ...accepted, kept: { boot: "another" } }));
    await it.start();
    const result = await resultOf(admin, "n1", id);
    assert.deepEqual([result.state, result.error?.code], ["interrupted", "unavailable"]);
    assert.ok(result.output.head.startsWith("waiting\n"));
    await gone(it, id);
  });

  await t.step("is told from others in what is known of the command", async () => {
    const id = newCommandId();
    await begin(id);
    await until("the hub to know", () => fleet.up.hub.commands.get(id)?.keep);
    await open();
    assert.equal((await resultOf(admin, "n1", id)).state, "succeeded");
    await shut();
  });

  await t.step("can be asked by a program", async () => {
    await using program = await connect({ servers: fleet.url, creds: fleet.up.adminCreds });
    const id = newCommandId();
    const types: string[] = [];
    const onEvent = ({ type }: { type: string }) => void types.push(type);
    const ran = program.run("task.run", { args: ["wait"] }, { on: "n1", id, keep: true, onEvent });
    await until("its output", () => types.includes("log"));
    await stopped("SIGKILL");
    await open();
    await it.start();
    const [result] = await ran;
    assert.deepEqual([result?.state, result?.output.head], ["succeeded", "waiting\nthrough\n"]);
    await shut();
  });

  await t.step("is refused where it cannot be", async () => {
    const asked = (verb: string, input: unknown, headers: Record<string, string>) =>
      admin.request(commandSubject("n1", ...verb.split(".") as [string, string]), JSON.stringify(input), { headers });
    const keep = { [HEADER.keep]: "true" };
    await refused(asked("which.check", { names: ["sh"] }, keep), "invalid", /not one process/);
    const lease = { [HEADER.commandId]: newCommandId(), [HEADER.attempt]: "1", [HEADER.lease]: "15000" };
    await refused(asked("task.run", { args: ["wait"] }, { ...keep, ...lease }), "invalid", /may move/);
    await refused(asked("task.run", { args: ["wait"] }, { [HEADER.keep]: "yes" }), "invalid", /true or false/);
    const id = newCommandId();
    ongoing(await askKept(it, "--watch", id));
    const result = await resultOf(admin, "n1", id);
    assert.deepEqual([result.state, result.error?.code], ["failed", "invalid"]);
    assert.equal((await ask(admin, "n1", "which.check", { names: ["sh"] })).state, "succeeded");
  });
});

/** Changes how a command stands in a journal that nobody has open. */
function inJournal(path: string, id: string, change: (accepted: Record<string, unknown>) => unknown): void {
  const db = new DatabaseSync(path);
  const row = db.prepare("SELECT accepted, result FROM runs WHERE id = ?").get(id) as {
    accepted: string;
    result: null;
  };
  const accepted = JSON.stringify(change(JSON.parse(row.accepted)));
  db.prepare("UPDATE runs SET accepted = ?, sum = ? WHERE id = ?").run(accepted, sumOf(id, accepted, row.result), id);
  db.close();
}
