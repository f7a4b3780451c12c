/**
 * A fleet of 50 nodes under load and faults for a while, and what grew meanwhile.
 *
 * ```sh
 * deno task soak --minutes 20 [--nodes 50] [--seed 7]
 * ```
 *
 * prints a table to standard error and JSON to standard output. The exit code is 1 where memory or handles of a process that lived
 * throughout have grown, or an account is wrong: a command without its one result, output that is neither there nor told to be
 * missing, a process that is left.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { table } from "../../lib/cli/terminal.ts";
import { generateNkey } from "../../lib/auth/nkey.ts";
import { formatCreds } from "../../lib/auth/creds.ts";
import { openKeyring } from "../../lib/auth/keyring.ts";
import { follow } from "../../lib/client/follow.ts";
import { serverMark } from "../../lib/nats/server.ts";
import { markOf, survivors } from "../../lib/os/processes.ts";
import { XtaskError } from "../../lib/protocol/error.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { HEADER } from "../../lib/protocol/run.ts";
import { commandSubject } from "../../lib/protocol/subjects.ts";
import { startCommand } from "../bench/program.ts";
import { type HubProcess, type NodeProcess, resultsOf, startHubProcess, startNodeProcess } from "../faults/ground.ts";
import { type Link, relayTo } from "../faults/relay.ts";
import { chance, inTurns } from "../faults/seeded.ts";
import { temporaryFolder } from "../fleet.ts";
import { until } from "../until.ts";
import { growthOf, type Sample } from "./growth.ts";

const LEAVES = 4;
const PER_SECOND = 4;
const SAMPLE_MS = 5_000;
const FAULT_MS = 15_000;
/** Until then the hub and its server are killed as well; what is measured later has lived since. */
const HARSH_SHARE = 0.25;
/** Growth is looked at from here on: what is learned at first is kept. */
const SETTLED_SHARE = 0.4;
/** What is more than noise. Servers keep an index of what they store. */
const RISE_MAX = { mib: 25, serverMib: 70, files: 8, consumers: 8 };
const LINES = 200;
const TASKFILE = JSON.stringify({
  version: "3",
  silent: true,
  tasks: { say: { cmds: [`i=0; while [ $i -lt ${LINES} ]; do i=$((i+1)); echo "line $i"; done`] } },
});
const SAID_BYTES = Array.from({ length: LINES }, (_, n) => `line ${n + 1}\n`).join("").length;

interface Asked {
  readonly id: string;
  readonly node: string;
  readonly says: boolean;
}

const note = (line: string) => void process.stderr.write(`${line}\n`);
const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Nodes that are clients, in one process. */
async function startClients(stack: AsyncDisposableStack, hub: HubProcess, folder: string, ids: readonly string[]) {
  const { projects: [keyring] } = await openKeyring(`${hub.home}/hub/keys.json`, []);
  await Deno.mkdir(folder, { recursive: true });
  for (const id of ids) {
    const { publicKey, seed } = generateNkey("user");
    const creds = formatCreds(keyring.issue({ role: "node", name: id, publicKey }), seed);
    await Deno.writeTextFile(`${folder}/${id}.creds`, creds, { mode: 0o600 });
  }
  const program = new URL("./nodes.ts", import.meta.url).pathname;
  return stack.use(await startCommand([Deno.execPath(), "run", "-A", program, hub.url, folder, ...ids]));
}

/** Everything that is looked at, by name. */
class Measures {
  readonly samples = new Map<string, Sample[]>();

  add(name: string, value: number): void {
    const all = this.samples.get(name) ?? [];
    this.samples.set(name, all);
    all.push({ atMs: performance.now(), value });
  }

  process(name: string, pid: number): void {
    try {
      const status = Deno.readTextFileSync(`/proc/${pid}/status`);
      this.add(`${name}: MiB`, Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024);
      this.add(`${name}: files`, [...Deno.readDirSync(`/proc/${pid}/fd`)].length);
    } catch {
      // It is being started anew.
    }
  }
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      minutes: { type: "string", default: "20" },
      nodes: { type: "string", default: "50" },
      seed: { type: "string", default: String(Date.now() % 100_000) },
    },
  });
  const [minutes, count, seed] = [Number(values.minutes), Number(values.nodes), Number(values.seed)];
  note(`soak: ${count} nodes for ${minutes} min, seed ${seed}`);
  const next = chance(seed);
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const hub = await startHubProcess(stack, folder);
  const clientIds = Array.from({ length: count - LEAVES }, (_, n) => `c${n}`);
  const clients = await startClients(stack, hub, `${folder}/clients`, clientIds);
  const leaves: NodeProcess[] = [];
  const links: Link[] = [];
  for (let n = 0; n < LEAVES; n++) {
    const link = stack.use(relayTo(hub.leafPort));
    links.push(link);
    leaves.push(
      await startNodeProcess(stack, hub, folder, { id: `l${n}`, leafPort: link.port, taskfile: TASKFILE }),
    );
  }
  note("soak: all nodes are there");

  const begun = performance.now();
  const ends = begun + minutes * 60_000;
  const share = () => (performance.now() - begun) / (ends - begun);
  const stop = new AbortController();
  const asked: Asked[] = [];
  let refused = 0;
  const ask = async (): Promise<void> => {
    const leaf = leaves[Math.floor(next() * leaves.length)];
    const says = leaf !== undefined && next() < 0.3;
    const node = says ? leaf.id : clientIds[Math.floor(next() * clientIds.length)] ?? "";
    const id = newCommandId();
    const [subject, input] = says
      ? [commandSubject(node, "task", "run"), { args: ["say"] }]
      : next() < 0.3
      ? [commandSubject(node, "which", "check"), { names: ["sh"] }]
      : [commandSubject(node, "silent", "exec"), { command: ["true"] }];
    const headers = { [HEADER.commandId]: id, [HEADER.wait]: "2000" };
    try {
      await hub.admin.request(subject, JSON.stringify(input), { timeoutMs: 8_000, headers });
      if (!subject.includes(".which.")) asked.push({ id, node, says });
    } catch (error) {
      // Nobody there to take it just now, or nobody said so: then it is in no account.
      XtaskError.from(error);
      refused++;
    }
  };
  /** Somebody who comes, follows a command and goes. */
  const watch = async (): Promise<void> => {
    const one = asked.at(-1);
    if (one === undefined) return;
    for await (const _ of follow(hub.admin, one.id, [one.node], AbortSignal.timeout(10_000)));
  };
  const loading = (async () => {
    for (let turn = 0; !stop.signal.aborted; turn++) {
      void ask();
      if (turn % (5 * PER_SECOND) === 0) void watch().catch((error) => note(`soak: following: ${error.message}`));
      await pause(1_000 / PER_SECOND);
    }
  })();

  const measures = new Measures();
  const measuring = (async () => {
    while (!stop.signal.aborted) {
      await pause(SAMPLE_MS);
      if (share() < SETTLED_SHARE) continue;
      measures.process("hub", hub.pid);
      measures.process("hub's server", await hub.serverPid());
      measures.process(`${clientIds.length} clients`, clients.pid);
      for (const leaf of leaves.slice(0, LEAVES / 2)) {
        measures.process(`leaf ${leaf.id}`, leaf.pid);
        const [server] = await survivors({ groups: [], mark: serverMark(`${leaf.home}/agent/leaf`) });
        if (server !== undefined) measures.process(`server of ${leaf.id}`, server);
      }
      const info = await hub.admin.connection.request("$JS.API.INFO", "", { timeout: 5_000 }).catch(() => undefined);
      const consumers = info?.json<{ consumers?: number }>().consumers;
      if (consumers !== undefined) measures.add("hub's server: consumers", consumers);
    }
  })();

  const told: Record<string, number> = {};
  const cutFor = async (link: Link, how: "cut" | "stall", ms: number) => {
    link[how]();
    await pause(ms);
    link.restore();
  };
  const mortal = leaves.slice(LEAVES / 2);
  const restart = async (one: { kill(): Promise<void>; start(): Promise<void> }) => {
    await one.kill();
    await one.start();
  };
  const any = <T>(all: readonly T[]) => all[Math.floor(next() * all.length)] as T;
  const faults: Record<string, () => Promise<void>> = {
    "link cut": () => cutFor(any(links), "cut", 1_000 + next() * 8_000),
    "link stalled": () => cutFor(any(links), "stall", 5_000 + next() * 8_000),
    "leaf agent killed": () => restart(any(mortal)),
    "leaf server killed": () => any(mortal).killServer(),
    "hub killed": () => restart(hub),
    "hub's server killed": () => hub.killServer(),
  };
  const [mild, harsh] = [Object.keys(faults).filter((name) => !name.startsWith("hub")), Object.keys(faults)];
  const turns = { mild: inTurns(mild, next), harsh: inTurns(harsh, next) };
  while (performance.now() < ends) {
    await pause(FAULT_MS);
    const fault = turns[share() < HARSH_SHARE ? "harsh" : "mild"].next().value;
    told[fault] = (told[fault] ?? 0) + 1;
    await faults[fault]?.().catch((error) => note(`soak: ${fault}: ${error.message}`));
    if ((told[fault] ?? 0) % 5 === 1) note(`soak: ${Math.round(100 * share())} %, ${asked.length} commands, ${fault}`);
  }
  stop.abort();
  await Promise.all([loading, measuring]);
  for (const link of links) link.restore();

  note("soak: the account");
  const wrong: string[] = [];
  const missing = (results: ReadonlyMap<string, number>) =>
    asked.filter(({ id, node }) => !results.has(`${id}.${node}`));
  await until("every result", async () => missing(await resultsOf(hub.admin)).length === 0, { timeoutMs: 120_000 })
    .catch(() => {});
  const results = await resultsOf(hub.admin);
  for (const { id, node } of missing(results)) wrong.push(`${id} on ${node} has no result`);
  for (const [one, times] of results) if (times !== 1) wrong.push(`${one} has ${times} results`);
  const spoken = asked.filter(({ says }) => says);
  const states: Record<string, number> = {};
  for (let at = 0; at < spoken.length; at += 8) {
    await Promise.all(
      spoken.slice(at, at + 8).map(async ({ id, node }) => {
        let [bytes, gaps] = [0, 0];
        for await (const event of follow(hub.admin, id, [node], AbortSignal.timeout(60_000))) {
          if (event.type === "log") bytes += event.pieces.reduce((sum, piece) => sum + piece.bytes.length, 0);
          if (event.type === "gap") gaps += event.bytes;
          if (event.type !== "result") continue;
          const { state } = event.result;
          states[state] = (states[state] ?? 0) + 1;
          if (state === "succeeded" && bytes + gaps !== SAID_BYTES) {
            wrong.push(`${id}: ${bytes} + ${gaps} of ${SAID_BYTES}`);
          }
        }
      }),
    );
  }
  const left = (await Promise.all(
    asked.slice(-200).map(({ id, node }) => survivors({ groups: [], mark: markOf(node, id) })),
  )).flat();
  if (left.length > 0) wrong.push(`${left.length} processes are left`);

  const grown = [...measures.samples].map(([name, samples]) => {
    const growth = growthOf(samples);
    const most = name.endsWith("MiB")
      ? name.includes("server") ? RISE_MAX.serverMib : RISE_MAX.mib
      : name.endsWith("files")
      ? RISE_MAX.files
      : RISE_MAX.consumers;
    // Of a few samples nothing can be told.
    const grows = samples.length >= 30 && growth.rise > most;
    if (grows) wrong.push(`${name} grew by ${growth.rise.toFixed(1)}`);
    return { name, ...growth, samples: samples.length, grows };
  });
  const number = (value: number) => value.toFixed(Math.abs(value) < 100 ? 1 : 0);
  note(
    table(
      ["WHAT", "FIRST", "LAST", "RISE", "PER HOUR", ""],
      grown.map(({ name, first, last, rise, perHour, grows }) => [
        name,
        ...[first, last, rise, perHour].map(number),
        grows ? "GROWS" : "",
      ]),
    ),
  );
  note(`soak: ${asked.length} commands, ${refused} not taken, faults ${JSON.stringify(told)}`);
  for (const line of wrong) note(`soak: WRONG: ${line}`);
  process.stdout.write(
    `${
      JSON.stringify(
        { minutes, nodes: count, seed, commands: asked.length, refused, faults: told, states, growth: grown, wrong },
        undefined,
        2,
      )
    }\n`,
  );
  for (const leaf of leaves) await leaf.stop();
  return wrong.length === 0 ? 0 : 1;
}

process.exitCode = await main();
