/**
 * Nodes that do nothing but be there: `beats.ts URL CREDS NODES EVERY_MS` sends a heartbeat for each of them so often and answers
 * for its record, on a few connections.
 */
import process from "node:process";
import { openBus } from "../../../lib/nats/bus.ts";
import type { Heartbeat, NodeRecord } from "../../../lib/protocol/node.ts";
import { platformHere } from "../../../lib/protocol/platform.ts";
import { heartbeatSubject, statusSubject } from "../../../lib/protocol/subjects.ts";
import { VERSION } from "../../../lib/protocol/version.ts";

const CONNECTIONS = 8;

const [servers = "", credsFile = "", count = "", every = ""] = Deno.args;
const creds = await Deno.readTextFile(credsFile);
const [nodes, everyMs] = [Number(count), Number(every)];
const since = new Date().toISOString();
const load = { one: 0.5, cores: 2, memoryBytes: 8 * 2 ** 30, memoryFreeBytes: 4 * 2 ** 30 };

const recordOf = (id: string): NodeRecord => ({
  ...{ id, instance: "bench", hostname: `${id}.example`, platform: platformHere(), labels: { team: "platform" } },
  ...{ version: VERSION, capabilities: [{ name: "task", verbs: ["run", "list"] }], tasks: [] },
  ...{ slots: { total: 8, free: 8 }, queued: 0, load, state: "online", since, link: { mode: "leaf" }, running: [] },
});
const heartbeatOf = (id: string): Heartbeat => ({
  ...{ id, instance: "bench", at: new Date().toISOString(), digest: "d", state: "online" },
  ...{ slots: { total: 8, free: 8 }, queued: 0, load, running: [], link: { mode: "leaf", up: true, backlogBytes: 0 } },
});

for (let number = 0; number < CONNECTIONS; number++) {
  const bus = await openBus({ servers, creds, timeoutMs: 60_000 });
  const ids: string[] = [];
  for (let node = number; node < nodes; node += CONNECTIONS) ids.push(`node-${node}`);
  for (const id of ids) bus.subscribe(statusSubject(id), (message) => message.respond(JSON.stringify(recordOf(id))));
  await bus.flush();
  // Spread over the time between two of each, as nodes are.
  for (const [at, id] of ids.entries()) {
    setTimeout(() => {
      const beat = () => bus.publish(heartbeatSubject(id), JSON.stringify(heartbeatOf(id)));
      beat();
      setInterval(beat, everyMs);
    }, everyMs * at / ids.length);
  }
}
process.stdout.write("ready\n");
