/**
 * The gate: format, lint, types, then every test, JSDoc example and TypeScript block of the Markdown pages (one that is not
 * meant to run says ```` ```ts ignore ````). Arguments go to `deno test`: folders, files, `--filter=…`.
 *
 * Every stage runs even if an earlier one failed. The last line is `N passed, N failed`, with `, N skipped` if any were.
 */
import { join } from "node:path";
import process from "node:process";
import { XtaskError } from "../lib/protocol/error.ts";
import { asset, type AssetName, ASSETS } from "./assets.ts";

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

/** The closing line. */
export function closing({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`;
}

const write = (line: string) => void process.stdout.write(`${line}\n`);

/** Runs one stage, shows its name and how long it took, and says whether it went well. */
async function stage(name: string, body: () => Promise<boolean>): Promise<boolean> {
  write(`\n── ${name}`);
  const start = performance.now();
  const good = await body();
  write(`── ${name}: ${good ? "ok" : "FAILED"} in ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return good;
}

async function deno(args: readonly string[]): Promise<boolean> {
  // Tests wait on child processes more than they compute, but more files at once than cores makes their deadlines tight.
  const env = { DENO_JOBS: Deno.env.get("DENO_JOBS") ?? String(Math.max(2, navigator.hardwareConcurrency)) };
  const child = new Deno.Command(Deno.execPath(), { args: [...args], env, stdin: "null" }).spawn();
  return (await child.status).success;
}

/** Fetched before any test needs them, so that tests neither race for them nor wait within their own deadlines. */
async function assets(): Promise<boolean> {
  try {
    for (const name of Object.keys(ASSETS) as AssetName[]) await asset(name, { report: write });
    return true;
  } catch (error) {
    const { message, details } = XtaskError.from(error);
    write([message, ...details].join("\n  "));
    return false;
  }
}

async function main(filters: readonly string[]): Promise<number> {
  const early = [
    await stage("assets", assets),
    await stage("format", () => deno(["fmt", "--check"])),
    await stage("lint", () => deno(["lint"])),
    await stage("types", () => deno(["check"])),
  ];
  const folder = await Deno.makeTempDir();
  let counted: Tally;
  try {
    const junit = join(folder, "junit.xml");
    const good = await stage(
      "tests",
      () => deno(["test", "-A", "--parallel", "--doc", `--junit-path=${junit}`, ...filters]),
    );
    counted = tally(await Deno.readTextFile(junit).catch(() => ""), good);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  const failed = counted.failed + early.filter((good) => !good).length;
  write(`\n${closing({ ...counted, failed })}`);
  return failed > 0 ? 1 : 0;
}

if (import.meta.main) process.exitCode = await main(Deno.args);
