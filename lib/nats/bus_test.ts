import assert from "node:assert/strict";
import { refused } from "../../tests/asking.ts";
import { startTestServer } from "../../tests/nats_server.ts";
import { until } from "../../tests/until.ts";
import { openBus } from "./bus.ts";

Deno.test("where a connection may send no more nothing goes out, not even what was published while the link was down", async () => {
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
  await bus.flush();
  may = false;
  assert.throws(() => bus.publish("said", "late"), /may not write/);
  await refused(bus.request("said", "asked"), "unavailable", /may not write/);
  may = true;
  await server.kill();
  await until("it to notice", () => !bus.up);
  bus.publish("said", "kept");
  may = false;
  const before = asked;
  await server.restart();
  await until("it to ask before it dials", () => asked > before);
  await listener.whenUp(AbortSignal.timeout(15_000));
  listener.publish("said", "last");
  await until("the last word", () => heard.includes("last"));
  assert.deepEqual(heard, ["first", "last"]);
});
