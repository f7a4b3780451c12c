import assert from "node:assert/strict";
import { withDuration } from "./durations.ts";
import { type Metrics, NO_RUNS } from "./metrics.ts";
import { durationSeries, nodeSeries } from "./series.ts";

const START = Date.parse("2026-01-01T00:00:00.000Z");

/** A sample so many minutes after the agent's start, with so many runs of 100 ms that succeeded. */
function sample(minutes: number, succeeded: number, change: Partial<Metrics> = {}): Metrics {
  let durations: Metrics["runs"]["durations"] = {};
  for (let run = 0; run < succeeded; run++) durations = withDuration(durations, 100);
  return {
    node: "n1",
    at: new Date(START + minutes * 60_000).toISOString(),
    since: new Date(START).toISOString(),
    cpu: { percent: 10, busyMs: minutes * 60_000, totalMs: minutes * 120_000, cores: 2 },
    memory: { usedBytes: 25, totalBytes: 100 },
    load: 0.5,
    runs: { ...NO_RUNS, started: succeeded, ended: { ...NO_RUNS.ended, succeeded }, durations },
    slots: { total: 4, free: 1 },
    queued: 0,
    backlogBytes: 0,
    ...change,
  };
}

Deno.test("rates are of the time between two samples, the first of which is no point itself", () => {
  const { points } = nodeSeries([sample(1, 2), sample(2, 5), sample(4, 5)]);
  assert.deepEqual(points.succeededPerMinute, [3, 0]);
  assert.deepEqual(points.cpuPercent, [50, 50]);
  assert.deepEqual([points.memoryPercent[0], points.slotsBusy[0], points.diskFreeBytes[0]], [25, 3, null]);
});

Deno.test("a gap is a gap, and what happened in it is told by the sample after it", () => {
  const { points, durations } = nodeSeries([sample(1, 0), undefined, sample(3, 4)]);
  assert.deepEqual(points.succeededPerMinute, [null, 2]);
  const { p50 } = durationSeries([{ points, durations }]);
  assert.equal(p50[0], null);
  assert.ok(Math.abs((p50[1] ?? 0) - 100) < 5);
});

Deno.test("an agent that started anew counts from nothing, and no rate is negative", () => {
  const again = { since: new Date(START + 2 * 60_000).toISOString() };
  const { points } = nodeSeries([sample(1, 9), sample(3, 2, again)]);
  assert.deepEqual(points.succeededPerMinute, [2]);
});
