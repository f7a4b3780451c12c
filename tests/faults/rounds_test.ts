/**
 * Kills, round after round, at points that a seed chooses, while commands and output are under way and the link flaps; then the
 * account: commands asked = results, output = what was written or a gap that is told, processes left = 0.
 *
 * XTASK_TEST_ROUNDS=50 XTASK_TEST_SEED=7 repeats what seed 7 did, for longer.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { follow } from "../../lib/client/follow.ts";
import type { Bus } from "../../lib/nats/bus.ts";
import { serverMark } from "../../lib/nats/server.ts";
import { markOf, survivors } from "../../lib/os/processes.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { HEADER, type Result } from "../../lib/protocol/run.ts";
import { commandSubject } from "../../lib/protocol/subjects.ts";
import { temporaryFolder } from "../fleet.ts";
import { until } from "../until.ts";
import { resultsOf, startHubProcess, startNodeProcess } from "./ground.ts";
import { relayTo } from "./relay.ts";
import { chance, inTurns, seedOf } from "./seeded.ts";

const ROUNDS = Number(Deno.env.get("XTASK_TEST_ROUNDS") ?? 6);
const SEED = seedOf("XTASK_TEST_SEED");
const ASKERS_PER_NODE = 2;
const LINES = 150;
const TASKFILE = `
version: "3"
silent: true
tasks:
  say:
    cmds:
      - |
        printf '%s\\n' {{.ID}} >> ran
        i=0
        while [ $i -lt ${LINES} ]; do
          i=$((i + 1))
          echo "{{.ID}} $i"
          [ $((i % 50)) -eq 0 ] && sleep 0.1
        done
        true
`;
const written = (id: string) => Array.from({ length: LINES }, (_, i) => `${id} ${i + 1}\n`).join("");

/** A command that its node has taken. */
interface Asked {
  readonly id: string;
  readonly node: string;
}

/** Asks for commands one after the other until it is told to stop, each by its id until the node has taken it. */
async function asking(bus: Bus, node: string, asked: Asked[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const id = newCommandId();
    const headers = { [HEADER.commandId]: id, [HEADER.wait]: "0" };
    const input = JSON.stringify({ args: ["say", `ID=${id}`] });
    // One that nobody has answered for may have been taken all the same, so it is asked for until somebody has.
    await until(`${node} to take a command`, async () => {
      await bus.whenUp(AbortSignal.timeout(60_000));
      return await bus.request(commandSubject(node, "task", "run"), input, { timeoutMs: 3_000, headers })
        .then(() => true, (error) => error.code === "exhausted" ? Promise.reject(error) : false);
    }, { timeoutMs: 120_000 });
    asked.push({ id, node });
    await until("its end, more or less", async () => {
      if (signal.aborted) return true;
      const body = JSON.stringify({ id });
      return await bus.request(commandSubject(node, "run", "status"), body, { timeoutMs: 3_000 })
        .then((answer) => answer.text().includes("finishedAt"), () => false);
    }, { timeoutMs: 120_000 });
  }
}

/** What a command left: its result, its output, and how much of that is told to be missing. */
async function accountOf(bus: Bus, { id, node }: Asked) {
  let [text, gaps] = ["", 0];
  let result: Result | undefined;
  const decoder = new TextDecoder();
  for await (const event of follow(bus, id, [node], AbortSignal.timeout(60_000))) {
    if (event.type === "log") text += event.pieces.map(({ bytes }) => decoder.decode(bytes)).join("");
    if (event.type === "gap") gaps += event.bytes;
    if (event.type === "result") result = event.result;
  }
  assert.ok(result !== undefined, `${id} on ${node} has a result`);
  return { id, node, result, text, gaps };
}

Deno.test("agents, servers and hub are killed at points that a seed chooses: every account is right in the end", async () => {
  process.stderr.write(`  kill rounds: XTASK_TEST_SEED=${SEED}\n`);
  const next = chance(SEED);
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const hub = await startHubProcess(stack, folder);
  const link = stack.use(relayTo(hub.leafPort));
  const leaf = await startNodeProcess(stack, hub, folder, { id: "leaf", leafPort: link.port, taskfile: TASKFILE });
  const client = await startNodeProcess(stack, hub, folder, { id: "client", taskfile: TASKFILE });
  const nodes = [leaf, client];
  const restarting = (one: { kill(): Promise<void>; start(): Promise<void> }) => async () => {
    await one.kill();
    await one.start();
  };
  const victims: Record<string, () => Promise<void>> = {
    "agent of a leaf node": restarting(leaf),
    "agent of a client": restarting(client),
    "server of a leaf node": () => leaf.killServer(),
    "hub": restarting(hub),
    "server of the hub": () => hub.killServer(),
  };
  const turns = inTurns(Object.keys(victims), next);
  const asked: Asked[] = [];
  const stop = new AbortController();
  const askers = Promise.all(
    nodes.flatMap(({ id }) => Array.from({ length: ASKERS_PER_NODE }, () => asking(hub.admin, id, asked, stop.signal))),
  );
  let failed: unknown;
  askers.catch((error) => failed = error);
  for (let round = 0; round < ROUNDS; round++) {
    const victim = turns.next().value;
    const [more, flaps] = [1 + Math.floor(next() * 6), next() < 0.5];
    const from = asked.length;
    await until(`${more} more commands`, () => {
      if (failed !== undefined) throw failed;
      return asked.length >= from + more;
    }, { timeoutMs: 120_000 });
    process.stderr.write(`  round ${round + 1}: ${victim}${flaps ? ", and the link" : ""}\n`);
    if (flaps) link.cut();
    await victims[victim]?.();
    if (flaps) link.restore();
  }
  stop.abort();
  await askers;

  await until("every result", async () => {
    const results = await resultsOf(hub.admin).catch(() => new Map());
    return asked.every(({ id, node }) => results.has(`${id}.${node}`));
  }, { timeoutMs: 120_000 });
  const results = await resultsOf(hub.admin);
  assert.deepEqual([results.size, [...results.values()].filter((count) => count !== 1)], [asked.length, []]);

  const ran = (await Promise.all(nodes.map(({ dir }) => Deno.readTextFile(`${dir}/ran`)))).join("").split("\n");
  const states: Record<string, number> = {};
  for (let at = 0; at < asked.length; at += 8) {
    for (const one of await Promise.all(asked.slice(at, at + 8).map((one) => accountOf(hub.admin, one)))) {
      const { id, node, result: { state, output }, text, gaps } = one;
      const about = `${id} on ${node}, ${state}`;
      states[state] = (states[state] ?? 0) + 1;
      const times = ran.filter((line) => line === id).length;
      assert.ok(state === "succeeded" ? times === 1 : state === "interrupted" && times <= 1, `${about}: ran ${times}×`);
      if (state === "succeeded") {
        assert.equal(output.bytes, written(id).length, about);
        assert.equal(text.length + gaps, output.bytes, `${about}: ${text.length} bytes came, ${gaps} are told missing`);
      }
      if (gaps === 0) assert.ok(written(id).startsWith(text), `${about}: what came is what was written`);
    }
  }
  process.stderr.write(`  ${asked.length} commands: ${JSON.stringify(states)}\n`);
  assert.ok((states.succeeded ?? 0) > 0, "some got through");

  for (const node of nodes) await node.stop();
  for (const { id, node } of asked) assert.deepEqual(await survivors({ groups: [], mark: markOf(node, id) }), []);
  assert.deepEqual(await survivors({ groups: [], mark: serverMark(`${leaf.home}/agent/leaf`) }), []);
});
