/** Reading a stream while its server comes and goes. */
import assert from "node:assert/strict";
import { jetstreamManager } from "@nats-io/jetstream";
import { startTestServer } from "../../tests/nats_server.ts";
import { replaced } from "../../tests/replaced.ts";
import { until } from "../../tests/until.ts";
import { openBus } from "./bus.ts";
import { type From, readStream } from "./streams.ts";
import { publishStored } from "./uplink.ts";

for (const from of ["first", "new", { sequence: 3 }] satisfies From[]) {
  Deno.test(`a reader from ${JSON.stringify(from)} goes on at once when its server is back, with nothing twice`, async () => {
    await using server = await startTestServer({ jetstream: { store_dir: "$DIR/store", sync_interval: "always" } });
    await using bus = await openBus({ servers: server.url });
    const { streams } = await jetstreamManager(bus.connection);
    await streams.add({ name: "S", subjects: ["s.>"] });
    const put = async (...texts: string[]) => {
      for (const text of texts) {
        await publishStored(bus, { subject: "s.a", headers: {}, payload: new TextEncoder().encode(text) });
      }
    };
    await put("1", "2", "3");
    const stop = new AbortController();
    const read: string[] = [];
    const reading = (async () => {
      const options = { subjects: ["s.>"], from, follow: true, signal: stop.signal };
      for await (const { data } of readStream(bus, "S", options)) read.push(new TextDecoder().decode(data));
    })();
    const expected = from === "first" ? ["1", "2", "3"] : from === "new" ? [] : ["3"];
    await until("what is there", () => read.length === expected.length);
    // A reader of what is new has to be there first.
    if (from === "new") await until("its consumer", async () => (await streams.info("S")).state.consumer_count === 1);
    await server.kill("SIGKILL");
    await until("the loss to be noticed", () => !bus.up);
    await server.restart();
    await bus.whenUp(AbortSignal.timeout(15_000));
    const more = Array.from({ length: 20 }, (_, at) => `m${at}`);
    await put(...more);
    // The library alone takes ten seconds and more.
    await until("all that came since", () => read.length >= expected.length + more.length, { timeoutMs: 8_000 });
    stop.abort();
    await reading;
    assert.deepEqual(read, [...expected, ...more]);
  });
}

Deno.test("a reader that is no longer wanted ends, also while its server is away", async () => {
  await using server = await startTestServer({ jetstream: { store_dir: "$DIR/store", sync_interval: "always" } });
  await using bus = await openBus({ servers: server.url });
  const { streams } = await jetstreamManager(bus.connection);
  await streams.add({ name: "S", subjects: ["s.>"] });
  const stop = new AbortController();
  const reading = (async () => {
    for await (const _ of readStream(bus, "S", { subjects: ["s.>"], from: "new", follow: true, signal: stop.signal }));
  })();
  await until("its consumer", async () => (await streams.info("S")).state.consumer_count === 1);
  await server.kill("SIGKILL");
  await until("the loss to be noticed", () => !bus.up);
  stop.abort();
  await reading;
});

Deno.test("reading what is there ends, also where it goes before it comes", async () => {
  await using server = await startTestServer({ jetstream: { store_dir: "$DIR/store" } });
  await using bus = await openBus({ servers: server.url });
  const { streams } = await jetstreamManager(bus.connection);
  await streams.add({ name: "S", subjects: ["s.>"] });
  await publishStored(bus, { subject: "s.a", headers: {}, payload: new Uint8Array(1) });
  const connection = replaced(bus.connection, "request", async (subject, ...more) => {
    const answer = await bus.connection.request(subject, ...more);
    if (subject.startsWith("$JS.API.CONSUMER.CREATE")) await streams.purge("S");
    return answer;
  });
  const read: unknown[] = [];
  const emptied = replaced(bus, "connection", connection);
  for await (const message of readStream(emptied, "S", { subjects: ["s.>"], from: "first" })) read.push(message);
  assert.deepEqual(read, []);
});

Deno.test("reading begins anew at once where a server of a cluster does not know of the new consumer yet", async () => {
  await using server = await startTestServer({ jetstream: { store_dir: "$DIR/store" } });
  await using bus = await openBus({ servers: server.url });
  const { streams } = await jetstreamManager(bus.connection);
  await streams.add({ name: "S", subjects: ["s.>"] });
  await publishStored(bus, { subject: "s.a", headers: {}, payload: new TextEncoder().encode("1") });
  let asked = 0;
  // The server answers what is asked of nobody, which the library takes up after ten seconds.
  const connection = replaced(bus.connection, "publish", (subject, ...more) => {
    const unknown = subject.startsWith("$JS.API.CONSUMER.MSG.NEXT") && ++asked === 1;
    bus.connection.publish(unknown ? "nobody.here" : subject, ...more);
  });
  const read: string[] = [];
  const reading = readStream(replaced(bus, "connection", connection), "S", { subjects: ["s.>"], from: "first" });
  const begun = performance.now();
  for await (const { data } of reading) read.push(new TextDecoder().decode(data));
  assert.deepEqual(read, ["1"]);
  assert.ok(performance.now() - begun < 8_000, "at once");
  assert.equal(asked, 2);
});
