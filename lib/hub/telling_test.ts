/** Comings and goings of nodes, and alerts, while the real server is away. */
import assert from "node:assert/strict";
import { startTestServer } from "../../tests/nats_server.ts";
import { until } from "../../tests/until.ts";
import { openBus } from "../nats/bus.ts";
import { ensureStreams, readStream, STREAM } from "../nats/streams.ts";
import { TOLD_WAITING_MAX } from "../protocol/limits.ts";
import { Alert } from "../protocol/event.ts";
import { parseJson } from "../protocol/parse.ts";
import { storedEvents } from "../protocol/subjects.ts";
import { openTeller, type ToldEvent } from "./telling.ts";

const joined = (node: string): ToldEvent => ({ type: "node_joined", at: new Date().toISOString(), node });
const left = (node: string): ToldEvent => ({ ...joined(node), type: "node_left", reason: "not heard of" });
const full = (node: string): ToldEvent => ({
  ...{ type: "alert", at: new Date().toISOString(), node, severity: "critical" },
  ...{ message: "Its disk is full", key: `disk_low.${node}`, state: "open" },
});
const wordOf = ({ type, node }: ToldEvent) => `${type} ${node}`;

/** A hub's server, and the way to it. */
async function ground() {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startTestServer({ jetstream: { store_dir: "$DIR/store" } }));
  const bus = stack.use(await openBus({ servers: server.url }));
  await ensureStreams(bus, { project: "p", replicas: 1 });
  const logged: string[] = [];
  const teller = stack.use(openTeller({ bus, log: (_level, message) => logged.push(message) }));
  /** What the stream has, and nothing behind it. */
  const stored = async () => {
    const found: string[] = [];
    const from = { sequence: 1 };
    for await (const { data } of readStream(bus, STREAM.events, { subjects: [storedEvents("p")], from })) {
      found.push(wordOf(JSON.parse(new TextDecoder().decode(data))));
    }
    return found;
  };
  const alerts = async () => {
    const found: string[] = [];
    for await (const { data } of readStream(bus, STREAM.alerts, { subjects: [">"], from: { sequence: 1 } })) {
      found.push(parseJson(Alert, new TextDecoder().decode(data), "alert").message);
    }
    return found;
  };
  const owned = stack.move();
  return { server, bus, teller, logged, stored, alerts, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

Deno.test("what happens while the hub's server is away is told when it is back: all of it, in order, once", async () => {
  await using hub = await ground();
  const events = [joined("n1"), joined("n2"), left("n1"), full("n1"), joined("n1"), left("n2")];
  await hub.teller.tell(events[0] as ToldEvent).stored;
  // Under way when the server dies: stored or not, nobody is told.
  void hub.teller.tell(events[1] as ToldEvent);
  await hub.server.kill();
  for (const event of events.slice(2)) await hub.teller.tell(event).tried;
  await hub.server.restart();
  await until("all of them", async () => hub.bus.up && (await hub.stored()).length >= events.length);
  assert.ok(await hub.teller.tell(joined("n3")).stored);
  const expected = [...events, joined("n3")].map(wordOf);
  await until("the last of them", async () => (await hub.stored()).length >= expected.length);
  assert.deepEqual(await hub.stored(), expected);
  await until("the alert", async () => (await hub.alerts()).length >= 1);
  assert.deepEqual(await hub.alerts(), ["Its disk is full"], "an alert is in a stream of its own, too");
  assert.ok(hub.logged.length <= 1, "that they wait is told once");
});

// Only a process that can be stopped is sure to have stored none of it when it dies.
const UNIX = { ignore: Deno.build.os === "windows" };
Deno.test("whoever tells while others are on their way goes on when the link is lost under them", UNIX, async () => {
  await using hub = await ground();
  Deno.kill(hub.server.pid, "SIGSTOP");
  // More than are on their way at once.
  const told = Array.from({ length: 100 }, (_, number) => hub.teller.tell(joined(`n${number}`)));
  let tried = 0;
  for (const one of told) void one.tried.then(() => tried++);
  await hub.server.kill();
  await until("all of them to be tried", () => tried === told.length);
  assert.ok(hub.teller.waits);
});

Deno.test("of more than can wait the oldest is given up, and said not to be told", async () => {
  await using hub = await ground();
  await hub.server.kill();
  await until("the loss to be noticed", () => !hub.bus.up);
  for (let number = 0; number <= TOLD_WAITING_MAX; number++) await hub.teller.tell(joined(`n${number}`)).tried;
  assert.deepEqual(hub.logged, ["node_joined of n0: not told, as too many wait for the hub's server"]);
});

Deno.test("what is told last is stored though the hub stops", async () => {
  await using hub = await ground();
  for (let number = 0; number < 100; number++) void hub.teller.tell(joined(`n${number}`));
  await hub.teller[Symbol.asyncDispose]();
  await until("all of them", async () => (await hub.stored()).length === 100);
  await hub.teller[Symbol.asyncDispose]();
});
