import assert from "node:assert/strict";
import { refused } from "../../tests/asking.ts";
import { startTestServer } from "../../tests/nats_server.ts";
import { until } from "../../tests/until.ts";
import { XtaskError } from "../protocol/error.ts";
import { openBus } from "./bus.ts";
import { wasNotTaken } from "./error.ts";

Deno.test("while a connection may not send nothing goes out, not even what was published while the link was down; then it goes on", async () => {
  await using server = await startTestServer();
  let [may, asked] = [true, 0];
  const maySend = () => {
    asked++;
    return may;
  };
  await using listener = await openBus({ servers: server.url });
  const heard: string[] = [];
  using _heard = listener.subscribe("said", (message) => void heard.push(message.text()));
  await listener.flush();
  await using bus = await openBus({ servers: server.url, maySend });
  bus.publish("said", "first");
  await until("the first word", () => heard.includes("first"));
  may = false;
  assert.throws(() => bus.publish("said", "late"), /may not write/);
  await refused(bus.request("said", "asked"), "unavailable", /may not write/);
  may = true;
  await server.kill();
  await until("it to notice", () => !bus.up);
  bus.publish("said", "lost");
  may = false;
  const before = asked;
  await server.restart();
  await until("it to ask before it dials", () => asked > before);
  await listener.whenUp(AbortSignal.timeout(15_000));
  listener.publish("said", "last");
  await until("the last word", () => heard.includes("last"));
  assert.deepEqual(heard, ["first", "last"]);
  may = true;
  await bus.whenUp(AbortSignal.timeout(15_000));
  bus.publish("said", "again");
  await until("it to go on", () => heard.includes("again"));
  assert.deepEqual(heard, ["first", "last", "again"]);
});

Deno.test("what is asked while the link is down is asked once it is up, and where it stays down it was surely not taken", async () => {
  await using server = await startTestServer();
  let [may, dialled] = [true, 0];
  const maySend = () => {
    dialled++;
    return may;
  };
  await using bus = await openBus({ servers: server.url, maySend });
  await server.kill();
  await until("it to notice", () => !bus.up);
  const error = await refused(bus.request("sum", "1 2", { timeoutMs: 100 }), "unavailable", /nothing was asked/);
  assert.ok(wasNotTaken(error));
  const asked = bus.request("sum", "1 2", { timeoutMs: 20_000 });
  const gathered = bus.gather("sum", "3 4", AbortSignal.timeout(20_000))[Symbol.asyncIterator]();
  const first = gathered.next();
  const before = dialled;
  await until("an attempt, which drops what was published before it", () => dialled > before);
  // Somebody is to answer before it is back.
  may = false;
  await server.restart();
  await using adding = await openBus({ servers: server.url });
  using _adding = adding.subscribe("sum", (message) => {
    message.respond(String(message.text().split(" ").map(Number).reduce((sum, one) => sum + one)));
  });
  await adding.flush();
  may = true;
  assert.equal((await asked).text(), "3");
  assert.equal((await first).value?.text(), "7");
  await gathered.return?.();
});

Deno.test("a connection whose link is lost while it hands over its last word is closed without an error", async () => {
  await using server = await startTestServer();
  const bus = await openBus({ servers: server.url });
  Deno.kill(server.pid, "SIGSTOP");
  bus.publish("said", "last");
  const closing = bus[Symbol.asyncDispose]();
  await server.kill();
  await closing;
  assert.ok(bus.connection.isClosed());
});

Deno.test("what an error tells fits into its answer, and an answer that fits into none is an error", async () => {
  await using server = await startTestServer();
  await using bus = await openBus({ servers: server.url });
  const long = "\u0000".repeat(1024 * 1024);
  using _refuses = bus.subscribe("refuses", () => {
    throw new XtaskError("conflict", `No ${long}`, { details: Array.from({ length: 50 }, () => long) });
  });
  using _tellsAll = bus.subscribe("tells.all", (message) => message.respond(`${long}.`));
  const { details } = await refused(bus.request("refuses", ""), "conflict", /^No /);
  assert.equal(details.length, 20);
  await refused(bus.request("tells.all", ""), "invalid", /max_payload/);
});

Deno.test("once a connection is closed everything that is wanted of it is unavailable", async () => {
  await using server = await startTestServer();
  const bus = await openBus({ servers: server.url });
  await bus[Symbol.asyncDispose]();
  const gathered = bus.gather("sum", "", AbortSignal.timeout(5_000))[Symbol.asyncIterator]();
  await refused(gathered.next(), "unavailable");
  await refused(Promise.try(() => bus.subscribe("said", () => {})), "unavailable");
  await refused(Promise.try(() => bus.publish("said", "")), "unavailable");
  await refused(bus.request("sum", ""), "unavailable");
  await refused(bus.flush(), "unavailable");
  await refused(bus.rttMs(), "unavailable");
});
