/** Comings and goings of nodes, while the real server is away. */
import assert from "node:assert/strict";
import { startTestServer } from "../../tests/nats_server.ts";
import { until } from "../../tests/until.ts";
import { openBus } from "../nats/bus.ts";
import { ensureStreams, readStream, STREAM } from "../nats/streams.ts";
import { PRESENCE_WAITING_MAX } from "../protocol/limits.ts";
import { storedEvents } from "../protocol/subjects.ts";
import { type PresenceEvent, tellPresence } from "./presence_told.ts";

const joined = (node: string): PresenceEvent => ({ type: "node_joined", at: new Date().toISOString(), node });
const left = (node: string): PresenceEvent => ({ ...joined(node), type: "node_left", reason: "not heard of" });
const wordOf = ({ type, node }: PresenceEvent) => `${type} ${node}`;

/** A hub's server, and the way to it. */
async function ground() {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startTestServer({ jetstream: { store_dir: "$DIR/store" } }));
  const bus = stack.use(await openBus({ servers: server.url }));
  await ensureStreams(bus, { project: "p", replicas: 1 });
  const logged: string[] = [];
  const presence = stack.use(tellPresence({ bus, log: (_level, message) => logged.push(message) }));
  /** What the stream has, and nothing behind it. */
  const stored = async () => {
    const found: string[] = [];
    for await (
      const { data } of readStream(bus, STREAM.events, { subjects: [storedEvents("p")], from: { sequence: 1 } })
    ) {
      found.push(wordOf(JSON.parse(new TextDecoder().decode(data))));
    }
    return found;
  };
  const owned = stack.move();
  return { server, bus, presence, logged, stored, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

Deno.test("what happens while the hub's server is away is told when it is back: all of it, in order, once", async () => {
  await using hub = await ground();
  const events = [joined("n1"), joined("n2"), left("n1"), joined("n1"), left("n2")];
  await hub.presence.tell(events[0] as PresenceEvent);
  // Under way when the server dies: stored or not, nobody is told.
  void hub.presence.tell(events[1] as PresenceEvent);
  await hub.server.kill();
  for (const event of events.slice(2)) await hub.presence.tell(event);
  await hub.server.restart();
  await until("all of them", async () => hub.bus.up && (await hub.stored()).length >= events.length);
  await hub.presence.tell(joined("n3"));
  const expected = [...events, joined("n3")].map(wordOf);
  await until("the last of them", async () => (await hub.stored()).length >= expected.length);
  assert.deepEqual(await hub.stored(), expected);
  assert.ok(hub.logged.length <= 1, "that they wait is told once");
});

Deno.test("of more than can wait the oldest is given up, and said to be lost", async () => {
  await using hub = await ground();
  await hub.server.kill();
  await until("the loss to be noticed", () => !hub.bus.up);
  for (let number = 0; number <= PRESENCE_WAITING_MAX; number++) await hub.presence.tell(joined(`n${number}`));
  assert.deepEqual(hub.logged, ["node_joined of n0: lost, as too many wait for the hub's server"]);
});

Deno.test("what is told last is stored though the hub stops", async () => {
  await using hub = await ground();
  for (let number = 0; number < 200; number++) void hub.presence.tell(joined(`n${number}`));
  await hub.presence[Symbol.asyncDispose]();
  await until("all of them", async () => (await hub.stored()).length === 200);
  await hub.presence[Symbol.asyncDispose]();
});
