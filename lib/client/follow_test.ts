import assert from "node:assert/strict";
import { startTestServer } from "../../tests/nats_server.ts";
import { until } from "../../tests/until.ts";
import { openBus } from "../nats/bus.ts";
import { newCommandId } from "../protocol/id.ts";
import { parseJson } from "../protocol/parse.ts";
import { CommandRecord } from "../protocol/run.ts";
import { hubSubject } from "../protocol/subjects.ts";
import { follow } from "./follow.ts";
import { followMoving } from "./follow_moving.ts";

const CONFIG = { jetstream: { store_dir: "$DIR/store" }, authorization: { user: "u", password: "first" } };

Deno.test("whoever follows a command hears that the server refuses them by now", async () => {
  await using server = await startTestServer(CONFIG);
  await using bus = await openBus({ servers: `nats://u:first@127.0.0.1:${server.port}` });
  const types: string[] = [];
  const following = (async () => {
    for await (const { type } of follow(bus, newCommandId(), ["n1"])) types.push(type);
  })();
  const refused = assert.rejects(following, { code: "unauthenticated" });
  const show = async () =>
    parseJson(CommandRecord, (await bus.request(hubSubject("command", "show"), "")).text(), "record");
  const moving = followMoving(bus, { id: newCommandId(), show })[Symbol.asyncIterator]();
  const over = assert.rejects(moving.next(), { code: "unavailable" });
  await until("the node to be silent", () => types.includes("silent"));
  const file = `${server.dir}/server.conf`;
  await Deno.writeTextFile(file, (await Deno.readTextFile(file)).replace("first", "second"));
  await server.restart();
  await Promise.all([refused, over]);
  assert.deepEqual(types, ["silent", "lost"]);
});
