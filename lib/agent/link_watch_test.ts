import assert from "node:assert/strict";
import { until } from "../../tests/until.ts";
import { LinkWatch } from "./link_watch.ts";

Deno.test("an outage that lasts is told once, and its end once; one that is short is not", async () => {
  const stop = new AbortController();
  let [clock, answers, asked, ups] = [Date.parse("2026-01-01T00:00:00Z"), true, 0, 0];
  const told: string[] = [];
  const watch = new LinkWatch({
    mode: "leaf",
    measure() {
      asked++;
      return answers ? Promise.resolve(12.34) : Promise.reject(new Error("no answer"));
    },
    backlogBytes: () => 7,
    now: () => clock,
    onLost: (since) => told.push(`lost ${since.toISOString()}`),
    onUp: () => void ups++,
    onBack: (since) => told.push(`back ${since.toISOString()}`),
    everyMs: 1,
    lostAfterMs: 60_000,
  }, stop.signal);
  /** Lets it look again, twice: the first look may have begun before the change. */
  const looked = (after = asked) => until("another look", () => asked > after + 1);
  await looked();
  const contactAt = "2026-01-01T00:00:00.000Z";
  assert.deepEqual(watch.status, { mode: "leaf", up: true, rttMs: 12.3, contactAt, backlogBytes: 7 });

  answers = false;
  await looked();
  assert.deepEqual(watch.status, { mode: "leaf", up: false, contactAt, backlogBytes: 7 });
  clock += 59_000;
  await looked();
  answers = true;
  await looked();
  assert.deepEqual([told, ups], [[], 2], "whoever waits for the link hears of it all the same");

  answers = false;
  await looked();
  clock += 60_000;
  await looked();
  await looked();
  assert.deepEqual(told, ["lost 2026-01-01T00:00:59.000Z"]);
  // What the hub has taken says as much as an answer.
  watch.contact();
  assert.deepEqual(told, ["lost 2026-01-01T00:00:59.000Z", "back 2026-01-01T00:00:59.000Z"]);
  stop.abort();
});
