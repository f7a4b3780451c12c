/** What is told of alerts and what is kept of them, with a real bucket. */
import assert from "node:assert/strict";
import { startTestServer } from "../../../tests/nats_server.ts";
import { openBucket } from "../../nats/bucket.ts";
import { openBus } from "../../nats/bus.ts";
import { AlertRecord } from "../../protocol/alert.ts";
import type { Alert } from "../../protocol/event.ts";
import { BUCKETS } from "../buckets.ts";
import { openAlarm } from "./alarm.ts";
import type { WatchEvent } from "./decide.ts";

const KEY = "disk_low.n1";
const disk = (freeBytes: number): WatchEvent => ({
  type: "measured",
  sample: { disk: { usedBytes: 1e12 - freeBytes, freeBytes }, backlogBytes: 0 },
});
const [FULL, ROOMY] = [disk(5e8), disk(5e11)];

/** A bucket, and hubs that follow one another; each alert is told when the test says so. */
async function ground() {
  await using stack = new AsyncDisposableStack();
  const server = stack.use(await startTestServer({ jetstream: { store_dir: "$DIR/store" } }));
  const bus = stack.use(await openBus({ servers: server.url }));
  const bucket = await openBucket(bus, { ...BUCKETS.alerts, schema: AlertRecord });
  const told: { readonly alert: Alert; readonly end: (told: boolean) => void }[] = [];
  const open = async () => {
    const alarm = await openAlarm({
      bucket,
      awaySince: () => undefined,
      now: Date.now,
      tell(alert) {
        const { promise, resolve } = Promise.withResolvers<boolean>();
        told.push({ alert, end: resolve });
        return promise;
      },
      log: () => {},
    });
    alarm.begin();
    return alarm;
  };
  const owned = stack.move();
  return {
    bucket,
    open,
    states: () => told.map(({ alert }) => alert.state),
    end: (number: number, isTold: boolean) => told[number]?.end(isTold),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

Deno.test("an alert that a hub could not tell is told by the next one, and one that it told is not", async () => {
  await using hub = await ground();
  const first = await hub.open();
  first.hear("n1", FULL);
  assert.equal(first.list(false)[0]?.key, KEY, "it is known at once");
  hub.end(0, false);
  await first.settled();
  const second = await hub.open();
  second.hear("n1", FULL);
  assert.deepEqual(hub.states(), ["open", "open"]);
  hub.end(1, true);
  await second.settled();
  const third = await hub.open();
  third.hear("n1", FULL);
  assert.deepEqual(hub.states(), ["open", "open"]);
  third.hear("n1", ROOMY);
  hub.end(2, false);
  await third.settled();
  const fourth = await hub.open();
  fourth.hear("n1", ROOMY);
  assert.deepEqual(hub.states(), ["open", "open", "resolved", "resolved"], "nor is its end lost");
});

Deno.test("what is concluded while an alert is still being told is kept when it has been told, too", async () => {
  await using hub = await ground();
  const alarm = await hub.open();
  alarm.hear("n1", FULL);
  const by = { user: "olga", proven: true };
  await alarm.acknowledge(KEY, by);
  assert.deepEqual((await hub.bucket.get(KEY))?.acknowledged?.by, by, "a person need not wait for that");
  alarm.hear("n1", ROOMY);
  hub.end(0, true);
  // Of another one that ends later than the first.
  await alarm.unmute(KEY);
  hub.end(1, true);
  await alarm.settled();
  const record = await hub.bucket.get(KEY);
  assert.ok(record?.resolvedAt !== undefined && record.acknowledged !== undefined, JSON.stringify(record));
  assert.deepEqual(hub.states(), ["open", "resolved"]);
});
