/** Hub processes and nodes on a cluster of real servers, a load on them, and the account of it afterwards. */
import assert from "node:assert/strict";
import { jetstreamManager } from "@nats-io/jetstream";
import { formatCreds } from "../../lib/auth/creds.ts";
import { generateNkey } from "../../lib/auth/nkey.ts";
import { type Bus, openBus } from "../../lib/nats/bus.ts";
import { readStream, STREAM } from "../../lib/nats/streams.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { HEADER } from "../../lib/protocol/run.ts";
import { commandSubject, storedEvents, upResult } from "../../lib/protocol/subjects.ts";
import type { ClusterServer, TestCluster } from "../nats_cluster.ts";
import { until } from "../until.ts";
import { spawnXtask, type XtaskProcess } from "../xtask_process.ts";
import { resultsOf } from "./ground.ts";

/** Starts a hub process on a cluster; it ends with the stack. */
export async function startHubOn(
  stack: AsyncDisposableStack,
  { url, leafPort, keysPath }: TestCluster,
  home: string,
): Promise<XtaskProcess & { readonly httpUrl: string }> {
  await Deno.mkdir(home, { recursive: true });
  const at = ["--nats", url, "--keys", keysPath, "--leaf-port", String(leafPort), "--http-port", "0"];
  const process = stack.use(await spawnXtask(["hub", "--json", ...at], { home }));
  const { httpUrl = "" } = await process.ready();
  return Object.assign(process, { httpUrl });
}

/** What a hub process says of its readiness. */
export async function readiness({ httpUrl }: { httpUrl: string }): Promise<string> {
  const { status, reasons = [] } = await (await fetch(`${httpUrl}/readyz`)).json();
  return [status, ...reasons].join(": ");
}

/** Somebody who may ask everything, connected to whichever server there is. */
export async function connectAdmin(stack: AsyncDisposableStack, { url, keyring }: TestCluster): Promise<Bus> {
  const key = generateNkey("user");
  const jwt = keyring.projects[0].issue({ role: "admin", name: "ann", publicKey: key.publicKey });
  return stack.use(await openBus({ servers: url, creds: formatCreds(jwt, key.seed) }));
}

/** Commands that are asked without end, one after the other on each node. */
export interface Load {
  /** Those that were answered with a result, as `command.node`. */
  readonly answered: readonly string[];
  /** Resolves when so many more were answered on every node. */
  more(count: number): Promise<void>;
  /** Asks no more; resolves when the last ones were answered. */
  stop(): Promise<void>;
}

const LINES = 12;
/** What nodes under load offer: a task whose every line is its own. */
export const TELLING = JSON.stringify({
  version: "3",
  silent: true,
  tasks: {
    tell: {
      cmds: [
        `i=0; while [ $i -lt ${LINES} ]; do i=$((i + 1)); echo "{{.XTASK_COMMAND_ID}} $i"; sleep 0.01; done`,
      ],
    },
  },
});
const outputOf = (id: string) => Array.from({ length: LINES }, (_, i) => `${id} ${i + 1}\n`).join("");
const WAIT_MS = 2_000;
/** A server that died is missed for a few seconds by those who elect another one. */
const PATIENCE_MS = 60_000;
/** Well below the minute and more that the servers alone may take. */
const DERIVED_MS = 30_000;

/** Begins to ask. What is not answered is asked again under the same id. */
export function startLoad(bus: Bus, nodes: readonly string[]): Load {
  const answered: string[] = [];
  const stop = new AbortController();
  const askOn = async (node: string) => {
    while (!stop.signal.aborted) {
      const id = newCommandId();
      await until(`${node} to answer`, async () => {
        try {
          const input = JSON.stringify({ args: ["tell"] });
          const headers = { [HEADER.commandId]: id, [HEADER.wait]: String(WAIT_MS) };
          const answer = await bus.request(commandSubject(node, "task", "run"), input, {
            timeoutMs: 2 * WAIT_MS,
            headers,
          });
          return JSON.parse(answer.text()).state === "succeeded";
        } catch {
          // Nobody was there just now; what came of it the next answer tells.
          return false;
        }
      }, { timeoutMs: PATIENCE_MS });
      answered.push(`${id}.${node}`);
    }
  };
  const asking = Promise.all(nodes.map(askOn));
  asking.catch(() => {});
  const countOf = (node: string) => answered.filter((one) => one.endsWith(`.${node}`)).length;
  return {
    answered,
    async more(count) {
      const before = new Map(nodes.map((node) => [node, countOf(node)]));
      const done = until("the load to go on", () => nodes.every((node) => countOf(node) >= before.get(node)! + count), {
        timeoutMs: PATIENCE_MS,
      });
      await Promise.race([done, asking]);
      await done;
    },
    async stop() {
      stop.abort();
      await asking;
    },
  };
}

/** Asserts that of every command there is one result, each event once and in order, and every byte of its output once. */
export async function account(bus: Bus, answered: readonly string[]): Promise<void> {
  const complete = async () => {
    const [results, events, logs] = [await resultsOf(bus), await eventsOf(bus), await logsOf(bus)];
    return { results, events, logs };
  };
  const all = (found: Awaited<ReturnType<typeof complete>>) =>
    answered.every((one) =>
      found.results.has(one) && found.events.get(one)?.includes("command_result") &&
      (found.logs.get(one)?.length ?? 0) >= outputOf(one.split(".")[0]!).length
    );
  // The streams that are read follow the one that nodes write to; after a server was killed the hub has to see to that.
  const found = await until("all to be stored", async () => {
    const found = await complete();
    return all(found) ? found : undefined;
  }, { timeoutMs: DERIVED_MS }).catch(complete);
  for (const one of answered) {
    if (!found.results.has(one)) assert.fail(`no result of ${one}: ${await whereabouts(bus, one)}`);
    assert.equal(found.results.get(one), 1, `results of ${one}`);
    assert.deepEqual(
      found.events.get(one),
      ["command_accepted", "command_started", "command_result"],
      `events of ${one}`,
    );
    assert.equal(found.logs.get(one), outputOf(one.split(".")[0]!), `output of ${one}`);
  }
  assert.equal(found.results.size, answered.length, "nothing was run that was not asked");
}

/** Whether the stream that nodes write to has a run's result, and how far the stream of results has read it. */
async function whereabouts(bus: Bus, one: string): Promise<string> {
  const [id = "", node = ""] = one.split(".");
  const manager = await jetstreamManager(bus.connection);
  const [up, results] = await Promise.all([manager.streams.info(STREAM.up), manager.streams.info(STREAM.results)]);
  const message = await manager.streams.getMessage(STREAM.up, { last_by_subj: upResult(node, id) }).catch(String);
  return JSON.stringify(
    { message, up: [up.state, up.cluster], results: [results.state, results.sources, results.cluster] },
    null,
    2,
  );
}

/** Types of the events of each command, in order, by `command.node`. */
async function eventsOf(bus: Bus): Promise<Map<string, string[]>> {
  const found = new Map<string, string[]>();
  const reading = { subjects: [storedEvents("default")], from: "first" as const };
  for await (const { data } of readStream(bus, STREAM.events, reading)) {
    const { type, command, node } = JSON.parse(new TextDecoder().decode(data));
    if (command === undefined) continue;
    const key = `${command}.${node}`;
    found.set(key, [...found.get(key) ?? [], type]);
  }
  return found;
}

/** The output of each run as it is stored, repeats included, by `command.node`. */
async function logsOf(bus: Bus): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const reading = { subjects: ["xtask.logs.*.*"], from: "first" as const };
  for await (const { subject, data } of readStream(bus, STREAM.logs, reading)) {
    const [, , node, id] = subject.split(".");
    const key = `${id}.${node}`;
    found.set(key, (found.get(key) ?? "") + new TextDecoder().decode(data));
  }
  return found;
}

/** Of a stream: the server that leads it, and those that follow, by name; undefined while that is being settled. */
export async function leadershipOf(bus: Bus, stream: string) {
  const manager = await jetstreamManager(bus.connection);
  const { cluster } = await manager.streams.info(stream);
  if (!cluster?.leader || cluster.replicas === undefined) return undefined;
  return {
    leader: cluster.leader,
    followers: cluster.replicas.map(({ name }) => name),
    current: cluster.replicas.every(({ current, offline }) => current && offline !== true),
  };
}

/** The server that the hub which leads is connected to. */
export async function serverOfHub(servers: readonly ClusterServer[]): Promise<ClusterServer> {
  for (const server of servers) {
    const { connections } = await server.monitor<{ connections: { name?: string }[] }>("/connz");
    if (connections.some(({ name }) => name !== undefined && / leads$/.test(name))) return server;
  }
  assert.fail("no hub that leads is connected");
}
