import assert from "node:assert/strict";
import { countOf } from "../protocol/durations.ts";
import { RunCounts } from "./metrics.ts";

Deno.test("runs are counted as they start and end; one that never started has no duration", () => {
  const counts = new RunCounts();
  counts.started();
  counts.ended("failed", 20);
  counts.ended("expired", undefined);
  const { started, ended, durations } = counts.total;
  assert.deepEqual([started, ended.failed, ended.expired, ended.succeeded, countOf(durations)], [1, 1, 1, 0, 1]);
});
