/**
 * Many answers to one question.
 *
 * - `replies.ts nodes URL CREDS NODES CONNECTIONS`: so many nodes that answer discover and broadcasts, on so many connections
 * - `replies.ts flood URL CREDS REPLIES SUBJECT`: one sender that answers with so many records
 */
import process from "node:process";
import * as v from "valibot";
import { loadHere } from "../../../lib/agent/presence.ts";
import { CAPABILITY_NAMES, loadCapability } from "../../../lib/capability/registry.ts";
import { openBus } from "../../../lib/nats/bus.ts";
import { newCommandId } from "../../../lib/protocol/id.ts";
import type { NodeRecord } from "../../../lib/protocol/node.ts";
import { parseJson } from "../../../lib/protocol/parse.ts";
import { platformHere } from "../../../lib/protocol/platform.ts";
import type { Result } from "../../../lib/protocol/run.ts";
import { parseSelector } from "../../../lib/protocol/selector.ts";
import { BROADCASTS, DISCOVER } from "../../../lib/protocol/subjects.ts";
import { VERSION } from "../../../lib/protocol/version.ts";

const CONNECTED_AT_ONCE = 16;
const TASKS = ["default", "hello", "build", "test", "lint", "release", "deploy:staging", "deploy:production"];

const Question = v.looseObject({ select: v.optional(v.string(), "all") });
const capabilities = (await Promise.all(CAPABILITY_NAMES.map(loadCapability)))
  .map(({ name, verbs }) => ({ name, verbs: Object.keys(verbs) }));

const recordOf = (id: string): NodeRecord => ({
  id,
  instance: "6f1c6c1e-8a55-4d3e-b0ad-3f3c2d9b7b11",
  hostname: `${id}.example.com`,
  platform: platformHere(),
  labels: { region: "eu-west", team: "platform" },
  version: VERSION,
  capabilities,
  tasks: TASKS.map((name) => ({ name, desc: "What it does, in one line as people write it" })),
  slots: { total: 8, free: 8 },
  queued: 0,
  load: loadHere(),
  state: "online",
  since: new Date().toISOString(),
  link: { mode: "client" },
  running: [],
});

const resultOf = (node: string): Result => {
  const now = new Date().toISOString();
  return {
    id: newCommandId(),
    node,
    capability: "which",
    verb: "check",
    attempt: 1,
    state: "succeeded",
    acceptedAt: now,
    startedAt: now,
    finishedAt: now,
    durationMs: 1,
    output: { head: "sh  /usr/bin/sh\n", tail: "", bytes: 16, lines: 1, truncated: false },
    data: { found: [{ name: "sh", path: "/usr/bin/sh" }], missing: [] },
  };
};

async function simulate(servers: string, creds: string, nodes: number, connections: number): Promise<void> {
  const numbers = Array.from({ length: connections }, (_, number) => number).values();
  await Promise.all(Array.from({ length: Math.min(CONNECTED_AT_ONCE, connections) }, async () => {
    for (const number of numbers) {
      const bus = await openBus({ servers, creds, timeoutMs: 60_000 });
      for (let node = number; node < nodes; node += connections) {
        const record = recordOf(`node-${node}`);
        bus.subscribe(DISCOVER, (message) => {
          const { select } = parseJson(Question, message.text(), "question");
          if (parseSelector(select)(record)) message.respond(JSON.stringify(record));
        });
        bus.subscribe(BROADCASTS, (message) => {
          const { select } = parseJson(Question, message.text(), "question");
          if (parseSelector(select)(record)) message.respond(JSON.stringify(resultOf(record.id)));
        });
      }
      await bus.flush();
    }
  }));
}

async function flood(servers: string, creds: string, replies: number, subject: string): Promise<void> {
  const bus = await openBus({ servers, creds });
  const payload = JSON.stringify(recordOf("node-0"));
  bus.subscribe(subject, (message) => {
    for (let i = 0; i < replies; i++) message.respond(payload);
  });
  await bus.flush();
}

const [mode, servers = "", credsFile = "", count, last = ""] = Deno.args;
const creds = await Deno.readTextFile(credsFile);
if (mode === "nodes") await simulate(servers, creds, Number(count), Number(last));
else await flood(servers, creds, Number(count), last);
process.stdout.write("ready\n");
