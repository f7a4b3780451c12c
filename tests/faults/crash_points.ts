/**
 * An agent dies at each point between taking a command and letting go of its result, in both modes. The next agent of the
 * same home finds what it left, and what was promised holds: one result, the right state, no second start, no process left,
 * and in the end nothing that waits.
 */
import assert from "node:assert/strict";
import { Journal } from "../../lib/agent/journal.ts";
import { storedLogs } from "../../lib/client/follow.ts";
import { readStream, STREAM } from "../../lib/nats/streams.ts";
import { endProcesses, markOf, survivors } from "../../lib/os/processes.ts";
import { serverMark } from "../../lib/nats/server.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import type { Result } from "../../lib/protocol/run.ts";
import { commandSubject, storedEvents, storedResult } from "../../lib/protocol/subjects.ts";
import { HEADER } from "../../lib/protocol/run.ts";
import { asset } from "../../scripts/assets.ts";
import { ask, ended, resultOf } from "../asking.ts";
import { copyProject, startFleet, type TestFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { spawnXtask } from "../xtask_process.ts";
import type { Mortal, Place, When } from "./mortal_agent.ts";

interface Point {
  readonly place: Place;
  readonly when: When;
  /** `unknown`: it was never accepted, so whoever asks again is the first to ask. */
  readonly state: "unknown" | "interrupted" | "succeeded";
  /** How often its task may have been started. */
  readonly starts: readonly number[];
  /** Whether whoever asked was told that it is accepted; undefined where the answer may have come or not. */
  readonly replied?: boolean;
  /** Only a leaf node has this point. */
  readonly leaf?: true;
}

const POINTS: readonly Point[] = [
  { place: "accept", when: "before", state: "unknown", starts: [0], replied: false },
  { place: "accept", when: "after", state: "interrupted", starts: [0], replied: false },
  { place: "started", when: "before", state: "interrupted", starts: [0, 1] },
  { place: "started", when: "after", state: "interrupted", starts: [0, 1] },
  { place: "invoke", when: "before", state: "interrupted", starts: [0], replied: true },
  { place: "spawned", when: "after", state: "interrupted", starts: [0, 1], replied: true },
  { place: "output", when: "after", state: "interrupted", starts: [1], replied: true },
  { place: "invoke", when: "after", state: "interrupted", starts: [1], replied: true },
  { place: "finish", when: "before", state: "interrupted", starts: [1], replied: true },
  { place: "finish", when: "after", state: "succeeded", starts: [1], replied: true },
  { place: "store", when: "before", state: "succeeded", starts: [1], replied: true },
  { place: "store", when: "within", state: "succeeded", starts: [1], replied: true },
  { place: "store", when: "after", state: "succeeded", starts: [1], replied: true },
  { place: "drop", when: "before", state: "succeeded", starts: [1], replied: true },
  { place: "drop", when: "after", state: "succeeded", starts: [1], replied: true },
  { place: "batch", when: "before", state: "succeeded", starts: [1], replied: true, leaf: true },
  { place: "batch", when: "within", state: "succeeded", starts: [1], replied: true, leaf: true },
  { place: "batch", when: "after", state: "succeeded", starts: [1], replied: true, leaf: true },
  { place: "position", when: "before", state: "succeeded", starts: [1], replied: true, leaf: true },
  { place: "position", when: "after", state: "succeeded", starts: [1], replied: true, leaf: true },
];

const LINES = 3_000;
/** Writes its mark at once, so that two starts could be told. */
const TASKFILE = `
version: "3"
silent: true
tasks:
  work:
    cmds:
      - printf '%s\\n' {{.XTASK_COMMAND_ID}} >> runs
      - seq 1 ${LINES}
`;
const OUTPUT = Array.from({ length: LINES }, (_, index) => `${index + 1}\n`).join("");

/** Kills an agent at each of its points, in order, and looks at what the next one makes of it. */
export async function diesAtEachPoint(t: Deno.TestContext, mode: "client" | "leaf"): Promise<void> {
  await using fleet = await startFleet({ nodes: [] });
  await using stack = new AsyncDisposableStack();
  const ground = await prepare(fleet, stack, mode);
  const points = POINTS.filter(({ leaf }) => mode === "leaf" || !leaf);
  for (const point of points) {
    await t.step(`${point.when} ${point.place}`, () => diesAt(ground, point));
  }
  await t.step("leaves nothing that waits", () => leavesNothing(ground));
}

interface Ground {
  readonly fleet: TestFleet;
  readonly node: string;
  readonly home: string;
  readonly dir: string;
  readonly options: Mortal;
}

async function prepare(fleet: TestFleet, stack: AsyncDisposableStack, mode: "client" | "leaf"): Promise<Ground> {
  const node = `mortal-${mode}`;
  const home = `${fleet.folder}/${node}/agent`;
  const dir = `${fleet.folder}/${node}/project`;
  await copyProject(dir, TASKFILE);
  await Deno.mkdir(home, { recursive: true, mode: 0o700 });
  const creds = await fleet.join("node", node, { leaf: mode === "leaf" });
  await Deno.writeTextFile(`${home}/${node}.creds`, creds, { mode: 0o600 });
  const { project, server } = fleet.up;
  const leafPort = server.leafPort ?? 0;
  if (mode === "leaf") await Deno.writeTextFile(`${home}/${node}.leaf.json`, JSON.stringify({ project, leafPort }));
  stack.defer(async () => void await endProcesses({ groups: [], mark: serverMark(`${home}/leaf`) }));
  const options: Mortal = {
    ...{ node, home, dir, creds, servers: fleet.url, task: await asset("task"), path: Deno.env.get("PATH") ?? "" },
    ...(mode === "leaf" ? { leaf: { program: await asset("nats-server"), port: leafPort, project } } : {}),
  };
  return { fleet, node, home, dir, options };
}

async function diesAt(ground: Ground, point: Point): Promise<void> {
  const { fleet, node, dir, options } = ground;
  const { admin } = fleet;
  const id = newCommandId();
  const { place, when, state, starts, replied } = point;
  const input = { args: ["work"] };
  const startsOf = async () => {
    const text = await Deno.readTextFile(`${dir}/runs`).catch(() => "");
    return text.split("\n").filter((line) => line === id).length;
  };
  {
    await using mortal = await startMortal(ground, { place, when, command: id });
    const answer = askOnce(fleet, node, id, input, replied === true ? 10_000 : 2_000);
    let death: Deno.CommandStatus | undefined;
    void mortal.status.then((status) => death = status);
    await until("it to die at the point", () => death !== undefined);
    assert.equal(death?.signal, "SIGKILL");
    // Nobody answers any more; what did come stands.
    const accepted = await answer;
    if (replied !== undefined) assert.equal(accepted, replied, "whoever asked was told that it goes on");
  }
  await until("no process of it to be left", async () => {
    return (await survivors({ groups: [], mark: markOf(node, id) })).length === 0;
  }, { timeoutMs: 8_000 });
  assert.ok(starts.includes(await startsOf()), `started ${await startsOf()} times`);
  const before = await startsOf();

  await using _next = await startMortal(ground);
  const result = state === "unknown"
    ? ended(await ask(admin, node, "task.run", input, { id, waitMs: 20_000 }))
    : await resultOf(admin, node, id);
  assert.equal(result.state, state === "unknown" ? "succeeded" : state);
  assert.equal(result.error?.code, state === "interrupted" ? "unavailable" : undefined);
  const again = ended(await ask(admin, node, "task.run", input, { id, waitMs: 20_000 }));
  assert.deepEqual(again, result, "asked again it gets the same answer");
  assert.equal(await startsOf(), state === "unknown" ? 1 : before, "nothing is started again");
  await handedOver(ground);
  await told(ground, result);
  await logsAccounted(ground, result);
  assert.deepEqual(await survivors({ groups: [], mark: markOf(node, id) }), []);
  assert.equal(options.node, result.node);
}

/** Whether the answer came that it goes on. */
async function askOnce(
  { admin }: TestFleet,
  node: string,
  id: string,
  input: unknown,
  timeoutMs: number,
): Promise<boolean> {
  const headers = { [HEADER.commandId]: id, [HEADER.wait]: "0" };
  try {
    await admin.request(commandSubject(node, "task", "run"), JSON.stringify(input), { headers, timeoutMs });
    return true;
  } catch {
    return false;
  }
}

interface Running extends AsyncDisposable {
  readonly status: Promise<Deno.CommandStatus>;
}

async function startMortal(
  { fleet, node, options, home }: Ground,
  death?: NonNullable<Mortal["death"]>,
): Promise<Running> {
  const file = `${home}/mortal.json`;
  await Deno.writeTextFile(file, JSON.stringify({ ...options, ...(death === undefined ? {} : { death }) }));
  const program = new URL("./mortal_agent.ts", import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", program, file],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let said = "";
  const hearing = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) said += text;
  })();
  const out = child.stdout.getReader();
  const { done } = await out.read();
  await out.cancel();
  if (done) throw new Error(`it ended before it was ready:\n${said}`);
  // A leaf node takes commands of its own machine sooner than those that come by its link.
  await until("it to answer", () => fleet.record(node).then(() => true, () => false));
  return {
    status: child.status,
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch (error) {
        // It has ended.
        if (!(error instanceof TypeError)) throw error;
      }
      await child.status;
      await hearing;
    },
  };
}

/** The hub has all that the node has to say. */
async function handedOver({ fleet, node }: Ground): Promise<void> {
  await until("all to be handed over", async () => (await fleet.record(node)).link.backlogBytes === 0);
}

/** One result in the stream, one event of it, and the hub knows its state. */
async function told({ fleet, node }: Ground, result: Result): Promise<void> {
  const { admin, up } = fleet;
  await until("the hub to know", () => up.hub.commands.get(result.id)?.runs[node]?.state === result.state);
  const results = await until("its result in the stream", async () => {
    let results = 0;
    const reading = { subjects: [storedResult(result.id, node)], from: "first" as const };
    for await (const _ of readStream(admin, STREAM.results, reading)) results++;
    return results > 0 && results;
  });
  assert.equal(results, 1, "one result in the stream");
  const counts: Record<string, number> = {};
  for await (
    const { data } of readStream(admin, STREAM.events, { subjects: [storedEvents(up.project)], from: "first" })
  ) {
    const event = JSON.parse(new TextDecoder().decode(data)) as { type: string; command?: string };
    if (event.command === result.id) counts[event.type] = (counts[event.type] ?? 0) + 1;
  }
  assert.equal(counts.command_result, 1, "one event of it");
  assert.ok((counts.command_started ?? 0) <= 1 && (counts.command_accepted ?? 0) <= 1, JSON.stringify(counts));
}

/** All output of a run that has ended by itself; of another one what there is, in order and without a hole. */
async function logsAccounted({ fleet, node }: Ground, { id, state, output }: Result): Promise<void> {
  const read = async () => {
    let text = "";
    for await (const event of storedLogs(fleet.admin, { id, node })) {
      assert.equal(event.type, "log", "there is no gap");
      if (event.type !== "log") continue;
      for (const { bytes } of event.pieces) text += new TextDecoder().decode(bytes);
    }
    return text;
  };
  const text = state !== "succeeded" ? await read() : await until("all of its output", async () => {
    const text = await read();
    return text.length >= OUTPUT.length && text;
  });
  assert.ok(OUTPUT.startsWith(text), "what there is is what was written");
  if (state !== "succeeded") return assert.ok(output.truncated, "its result does not say that this is all");
  assert.equal(text.length, OUTPUT.length);
  assert.equal(output.bytes, OUTPUT.length);
}

/** After the agent as it ships has run and stopped in order there is nothing in the journal that waits. */
async function leavesNothing({ fleet, node, home, dir }: Ground): Promise<void> {
  const args = ["agent", "--json", "--hub", fleet.url, "--name", node, "--dir", dir, "--allow", "task,which"];
  await using agent = await spawnXtask(args, { home: home.replace(/\/agent$/, ""), cwd: dir });
  await agent.ready();
  agent.kill("SIGTERM");
  assert.equal((await agent.status).code, 0, agent.stderrText());
  using journal = new Journal(`${home}/journal.sqlite`);
  assert.deepEqual(journal.unfinished(), []);
  assert.deepEqual(journal.backlog(), { bytes: 0 });
}
