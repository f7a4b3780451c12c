/**
 * The gate: format, lint, types, then every test, JSDoc example and TypeScript block of the Markdown pages (one that is not
 * meant to run says ```` ```ts ignore ````), then the tests of the compiled xtask and its budgets. Arguments go to `deno test` (folders,
 * files, `--filter=…`) and leave out the compiled one.
 *
 * Every stage runs even if an earlier one failed. What failed is told once more at the end. The last line is `N passed, N failed`, with `, N skipped` if any were.
 */
import { join } from "node:path";
import process from "node:process";
import { XtaskError } from "../lib/protocol/error.ts";
import { asset, type AssetName, ASSETS, pageScript } from "./assets.ts";
import { chromium } from "./chromium.ts";
import { closing, summed, type Tally, tally } from "./tally.ts";
import { testBinary } from "./tests_of_binary.ts";

/** The Markdown pages whose TypeScript runs as tests. */
const PAGES = ["README.md", "lib/README.md"];

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
  const child = new Deno.Command(Deno.execPath(), { args: [...args], stdin: "null" }).spawn();
  return (await child.status).success;
}

/** Fetched before any test needs them, so that tests neither race for them nor wait within their own deadlines. */
async function assets(): Promise<boolean> {
  try {
    for (const name of Object.keys(ASSETS) as AssetName[]) await asset(name, { report: write });
    await pageScript({ report: write });
    await chromium();
    return true;
  } catch (error) {
    const { message, details } = XtaskError.from(error);
    write([message, ...details].join("\n  "));
    return false;
  }
}

/** The tests and budgets of what is compiled, on the platform whose binary is one that people get and that can be tried here. */
async function binary(): Promise<Tally> {
  if (Deno.build.os !== "linux" || Deno.build.arch !== "x86_64") {
    write("\n── binary: skipped, as it is tested on Linux x86_64 only; by hand: deno task test:binary");
    return { passed: 0, failed: 0, skipped: 1 };
  }
  let ended: Tally = { passed: 0, failed: 1, skipped: 0 };
  await stage("binary", async () => (ended = await testBinary()).failed === 0);
  const within = await stage("budgets", () => deno(["run", "-A", "--no-check", "tests/bench/bench.ts", "--budgets"]));
  return summed([ended, { passed: within ? 1 : 0, failed: within ? 0 : 1, skipped: 0 }]);
}

async function main(filters: readonly string[]): Promise<number> {
  // Tests wait on child processes more than they compute: one file more than there are cores saves a fifth of the time.
  if (!Deno.env.has("DENO_JOBS")) Deno.env.set("DENO_JOBS", String(navigator.hardwareConcurrency + 1));
  const early = [
    await stage("assets", assets),
    await stage("format", () => deno(["fmt", "--check"])),
    await stage("lint", () => deno(["lint"])),
    await stage("types", async () => await deno(["check", "--doc"]) && await deno(["check", "--doc-only", ...PAGES])),
  ];
  const folder = await Deno.makeTempDir();
  const counted: Tally[] = [];
  try {
    const junit = join(folder, "junit.xml");
    const good = await stage(
      "tests",
      // Types have been looked at.
      () => deno(["test", "-A", "--parallel", "--doc", "--no-check", `--junit-path=${junit}`, ...filters]),
    );
    counted.push(tally(await Deno.readTextFile(junit).catch(() => ""), good));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  if (filters.length === 0) counted.push(await binary());
  const ended = summed([...counted, { passed: 0, failed: early.filter((good) => !good).length, skipped: 0 }]);
  for (const failure of ended.failures ?? []) write(`\nfailed: ${failure}`);
  write(`\n${closing(ended)}`);
  return ended.failed > 0 ? 1 : 0;
}

if (import.meta.main) process.exitCode = await main(Deno.args);
