/** How many tests ended in which way: read from reports, summed, said. */

/** How many tests ended in which way. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/**
 * Counts a JUnit report of `deno test`, or the lack of one.
 *
 * @param succeeded Whether the test run itself ended well. A module that cannot be loaded shows in nothing else.
 */
export function tally(report: string, succeeded: boolean): Tally {
  const totals = /<testsuites [^>]*>/.exec(report)?.[0] ?? "";
  const total = (attribute: string) => Number(new RegExp(`\\b${attribute}="(\\d+)"`).exec(totals)?.[1] ?? 0);
  const skipped = report.match(/<skipped\b/g)?.length ?? 0;
  const failed = total("failures") + total("errors");
  return { passed: total("tests") - failed - skipped, failed: succeeded ? failed : Math.max(failed, 1), skipped };
}

/** All of them together. */
export function summed(tallies: readonly Tally[]): Tally {
  const sum = (of: (tally: Tally) => number) => tallies.reduce((total, tally) => total + of(tally), 0);
  return { passed: sum((one) => one.passed), failed: sum((one) => one.failed), skipped: sum((one) => one.skipped) };
}

/** The closing line. */
export function closing({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
