import assert from "node:assert/strict";
import * as v from "valibot";
import { connectFleet } from "../../lib/client/fleet.ts";
import { openKeyring } from "../../lib/auth/keyring.ts";
import { startHub } from "../../lib/hub/hub.ts";
import { AlertRecord } from "../../lib/protocol/alert.ts";
import { Alert } from "../../lib/protocol/event.ts";
import { type Metrics, NO_RUNS } from "../../lib/protocol/metrics.ts";
import { parseJson } from "../../lib/protocol/parse.ts";
import { ALERTS_ANY, hubSubject, inboxPrefix, upMetrics } from "../../lib/protocol/subjects.ts";
import { hear, refused } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

const List = v.object({ alerts: v.array(AlertRecord) });

function sample(node: string, freeBytes: number): Metrics {
  const at = new Date().toISOString();
  return {
    node,
    at,
    since: at,
    cpu: { percent: 1, busyMs: 1, totalMs: 100, cores: 1 },
    memory: { usedBytes: 1, totalBytes: 2 },
    load: 0,
    disk: { usedBytes: 1e12 - freeBytes, freeBytes },
    runs: NO_RUNS,
    slots: { total: 1, free: 1 },
    queued: 0,
    backlogBytes: 0,
  };
}

Deno.test("an alert is told once, acknowledged and muted by name, and its end is told", async (t) => {
  await using fleet = await startFleet({ nodes: [] });
  const node = "edge-7";
  const author = await fleet.connect(await fleet.join("node", node), { inboxPrefix: inboxPrefix(node) });
  const creds = await fleet.join("operator", "olga");
  await using olga = await connectFleet({ servers: fleet.url, creds, inboxPrefix: inboxPrefix("olga") });
  const bob = await fleet.connect(await fleet.join("operator", "bob"));
  const key = `disk_low.${node}`;
  using live = await hear(olga.bus, ALERTS_ANY);
  const told = () => live.messages.map((message) => parseJson(Alert, message.text(), "alert"));
  const measure = (free: number) => author.publish(upMetrics(node), JSON.stringify(sample(node, free)));
  const open = async () => (await olga.hub("alert", "list", {}, List)).alerts;

  await t.step("it is told once, however often it is true, and explains itself", async () => {
    for (let n = 0; n < 3; n++) measure(500 * 2 ** 20);
    const message = await live.first();
    const alert = parseJson(Alert, message.text(), "alert");
    assert.deepEqual([alert.key, alert.state, alert.node], [key, "open", node]);
    assert.match(alert.message, /edge-7 has 500 MiB of disk left .*free some space where/);
    const [record] = await open();
    assert.deepEqual([record?.key, record?.count, record?.acknowledged], [key, 1, undefined]);
  });

  await t.step("who acknowledges is proven by the subject, or said to be a word only", async () => {
    const { acknowledged } = await olga.hub("alert", "ack", { key }, AlertRecord);
    assert.deepEqual(acknowledged?.by, { user: "olga", proven: true });
    await refused(bob.request(hubSubject("alert", "ack", "olga"), JSON.stringify({ key })), "forbidden");
    const answer = await bob.request(hubSubject("alert", "ack"), JSON.stringify({ key }), {
      headers: { "Xtask-User": "olga" },
    });
    assert.deepEqual(parseJson(AlertRecord, answer.text(), "alert").acknowledged?.by, { user: "olga", proven: false });
    await refused(bob.request(hubSubject("alert", "ack"), JSON.stringify({ key })), "invalid", /who acknowledges/);
    await refused(bob.request(hubSubject("alert", "ack", "bob"), '{"key":"disk_low.nope"}'), "not_found");
    await refused(bob.request(hubSubject("alert", "mute", "bob"), '{"key":"../x"}'), "invalid");
  });

  await t.step("its end is told, and while it is muted neither that it comes nor that it goes", async () => {
    measure(500 * 2 ** 30);
    await live.first((message) => message.text().includes('"resolved"'));
    assert.deepEqual(await open(), []);
    await olga.hub("alert", "mute", { key, forMs: 60_000 }, AlertRecord);
    const before = told().length;
    measure(500 * 2 ** 20);
    const [record] = await until("it to come again", async () => {
      const alerts = await open();
      return alerts.length > 0 && alerts;
    });
    assert.deepEqual([record?.count, record?.muted?.by.user, record?.acknowledged], [2, "olga", undefined]);
    measure(500 * 2 ** 30);
    await until("its end", async () => (await open()).length === 0);
    assert.equal(told().length, before);
    await olga.hub("alert", "unmute", { key }, AlertRecord);
  });

  await t.step("a hub that stops tells what it knows, and the next one does not tell it again", async () => {
    const before = told().length;
    measure(500 * 2 ** 20);
    await until("it to come a third time", async () => (await open())[0]?.count === 3);
    await fleet.up.hub[Symbol.asyncDispose]();
    const { projects: [keyring] } = await openKeyring(`${fleet.folder}/hub/hub/keys.json`, []);
    const bus = await fleet.connect(keyring.hubCreds());
    await using again = await startHub({ bus, keys: keyring, address: fleet.url, log: () => {} });
    await until("it to follow", () => again.ready);
    measure(499 * 2 ** 20);
    measure(500 * 2 ** 30);
    await until("its end", async () => (await open()).length === 0);
    const since = () => told().slice(before).map(({ key, state }) => [key, state]);
    await until("its end to be told", () => since().some(([, state]) => state === "resolved"));
    assert.deepEqual(since(), [[key, "open"], [key, "resolved"]]);
  });
});
