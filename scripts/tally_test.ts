import assert from "node:assert/strict";
import { closing, summed, tally } from "./tally.ts";

const REPORT = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="12" failures="2" errors="1" time="0.225">
  <testsuite name="./a_test.ts" tests="12" disabled="1" errors="1" failures="2">
    <testcase name="says &lt;skipped&gt;"></testcase>
    <testcase name="later"><skipped/></testcase>
  </testsuite>
</testsuites>`;

Deno.test("a report is counted by its totals", () => {
  assert.deepEqual(tally(REPORT, false), { passed: 8, failed: 3, skipped: 1 });
});

Deno.test("a run that failed counts as a failure even if its report shows none, or there is no report", () => {
  const clean = REPORT.replace('failures="2"', 'failures="0"').replace('errors="1"', 'errors="0"');
  assert.deepEqual(tally(clean, true), { passed: 11, failed: 0, skipped: 1 });
  assert.deepEqual(tally(clean, false), { passed: 11, failed: 1, skipped: 1 });
  assert.deepEqual(tally("", false), { passed: 0, failed: 1, skipped: 0 });
});

Deno.test("the closing line names skipped tests only if there are any", () => {
  assert.equal(closing({ passed: 3, failed: 0, skipped: 0 }), "3 passed, 0 failed");
  assert.equal(closing({ passed: 3, failed: 1, skipped: 2 }), "3 passed, 1 failed, 2 skipped");
});

Deno.test("tallies add up", () => {
  const [one, two] = [{ passed: 3, failed: 0, skipped: 1 }, { passed: 4, failed: 2, skipped: 0 }];
  assert.deepEqual(summed([one, two]), { passed: 7, failed: 2, skipped: 1 });
  assert.deepEqual(summed([]), { passed: 0, failed: 0, skipped: 0 });
});
