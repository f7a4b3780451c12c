/** How many tests ended in which way: read from reports, summed, said. */

/** How many tests ended in which way. */
export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
  /** What failed and why, a few lines each, to be read where the closing line is. */
  readonly failures?: readonly string[];
}

/** Lines told of one failure. */
const FAILURE_LINES = 20;
const FAILED_CASE = /<testcase name="([^"]*)" classname="([^"]*)"[^>]*>\s*<(?:failure|error)[^>]*>([^<]*)</g;
const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

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
  return {
    passed: total("tests") - failed - skipped,
    failed: succeeded ? failed : Math.max(failed, 1),
    skipped,
    failures: failuresOf(report),
  };
}

/** Name, file and first lines of what each failed test said. */
function failuresOf(report: string): string[] {
  const plain = (text = "") => text.replace(/&(\w+);/g, (all, name) => ENTITIES[name] ?? all);
  return [...report.matchAll(FAILED_CASE)].map(([, name, file, text]) =>
    [`${plain(file)}: ${plain(name)}`, ...plain(text).split("\n").slice(0, FAILURE_LINES)].join("\n  ")
  );
}

/** All of them together. */
export function summed(tallies: readonly Tally[]): Tally {
  const sum = (of: (tally: Tally) => number) => tallies.reduce((total, tally) => total + of(tally), 0);
  return {
    passed: sum((one) => one.passed),
    failed: sum((one) => one.failed),
    skipped: sum((one) => one.skipped),
    failures: tallies.flatMap((one) => one.failures ?? []),
  };
}

/** The closing line. */
export function closing({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}
