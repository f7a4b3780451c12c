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
  assert.deepEqual(tally(REPORT, false), { passed: 8, failed: 3, skipped: 1, failures: [] });
});

Deno.test("a run that failed counts as a failure even if its report shows none, or there is no report", () => {
  const clean = REPORT.replace('failures="2"', 'failures="0"').replace('errors="1"', 'errors="0"');
  assert.deepEqual(tally(clean, true), { passed: 11, failed: 0, skipped: 1, failures: [] });
  assert.deepEqual(tally(clean, false), { passed: 11, failed: 1, skipped: 1, failures: [] });
  assert.deepEqual(tally("", false), { passed: 0, failed: 1, skipped: 0, failures: [] });
});

Deno.test("what failed is told with its name, its file and why", () => {
  const report = `<testsuites tests="2" failures="1" errors="0"><testsuite name="./a_test.ts">
    <testcase name="good" classname="./a_test.ts" time="0.1" line="1" col="6">
    </testcase>
    <testcase name="1 &lt; 2 &amp;&gt; more" classname="./a_test.ts" time="0.1" line="2" col="6">
      <failure message="Uncaught">AssertionError: 1 &amp;lt; 2
1 !== 2</failure>
    </testcase>
  </testsuite></testsuites>`;
  assert.deepEqual(tally(report, false).failures, [
    "./a_test.ts: 1 < 2 &> more\n  AssertionError: 1 &lt; 2\n  1 !== 2",
  ]);
});

Deno.test("the closing line names skipped tests only if there are any", () => {
  assert.equal(closing({ passed: 3, failed: 0, skipped: 0 }), "3 passed, 0 failed");
  assert.equal(closing({ passed: 3, failed: 1, skipped: 2 }), "3 passed, 1 failed, 2 skipped");
});

Deno.test("tallies add up", () => {
  const [one, two] = [{ passed: 3, failed: 0, skipped: 1 }, { passed: 4, failed: 2, skipped: 0 }];
  assert.deepEqual(summed([one, two]), { passed: 7, failed: 2, skipped: 1, failures: [] });
  assert.deepEqual(summed([]), { passed: 0, failed: 0, skipped: 0, failures: [] });
});
