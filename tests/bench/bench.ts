/**
 * Measures xtask against something bare, and this against the committed baseline.
 *
 * ```sh
 * deno task bench [NAME…] [--update]
 * ```
 *
 * prints a table to standard error and JSON to standard output. The exit code is 1 where a figure is worse than the
 * baseline by more than its tolerance, or than its budget by more than 10 %. Only ratios are compared, since machines differ. `--update` makes the figures the
 * baseline.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { table } from "../../lib/cli/terminal.ts";
import { parseJson } from "../../lib/protocol/parse.ts";
import { binarySize } from "./binary_size.ts";
import { binaryMemory } from "./binary_memory.ts";
import { binaryStart } from "./binary_start.ts";
import { Baseline, compare, type Measured, updated, type Verdict } from "./baseline.ts";
import { discover } from "./discover.ts";
import { idleMemory } from "./idle_memory.ts";
import { leafCost } from "./leaf_cost.ts";
import { logBytes } from "./log_bytes.ts";
import type { Measurement } from "./measurement.ts";
import { pageClick } from "./page_click.ts";
import { pageTabs } from "./page_tabs.ts";
import { startUp } from "./start_up.ts";
import { taskHello } from "./task_hello.ts";
import { whichCheck } from "./which_check.ts";

const MEASUREMENTS: readonly Measurement[] = [
  ...[whichCheck, leafCost, taskHello, startUp, logBytes, idleMemory, discover, pageClick, pageTabs],
  ...[binaryStart, binaryMemory, binarySize],
];
const BASELINE = new URL("./baseline.json", import.meta.url);

const note = (line: string) => void process.stderr.write(`${line}\n`);

function chosen(names: readonly string[]): readonly Measurement[] {
  const unknown = names.find((name) => !MEASUREMENTS.some((one) => one.name === name));
  if (unknown !== undefined) {
    const known = MEASUREMENTS.map(({ name, summary }) => `  ${name.padEnd(14)}${summary}`);
    throw new Error([`There is no measurement '${unknown}'; there are`, ...known].join("\n"));
  }
  return names.length === 0 ? MEASUREMENTS : MEASUREMENTS.filter(({ name }) => names.includes(name));
}

async function measure(measurements: readonly Measurement[]): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const { name, summary, run } of measurements) {
    note(`${name}: ${summary}`);
    measured.push({ measurement: name, figures: await run((line) => note(`  ${line} …`)) });
  }
  return measured;
}

function show(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ measurement, name, ratio, baseline, tolerance, aim, budget, verdict, note }) => [
    measurement,
    name,
    `${ratio.toFixed(2)}${aim !== undefined && ratio > aim ? " > aim" : ""}`,
    budget !== undefined ? `≤ ${budget}, a budget` : aim === undefined ? "" : `≤ ${aim}`,
    baseline === undefined ? "" : `${baseline.toFixed(2)} +${Math.round(tolerance * 100)} %`,
    verdict === "worse" ? "WORSE" : verdict,
    note,
  ]);
  return table(["MEASUREMENT", "FIGURE", "RATIO", "AIM", "BASELINE", "", "HERE"], rows);
}

const { values, positionals } = parseArgs({
  args: Deno.args,
  options: { update: { type: "boolean", default: false } },
  allowPositionals: true,
});
const measured = await measure(chosen(positionals));
const baseline = parseJson(Baseline, await Deno.readTextFile(BASELINE), "baseline");
const verdicts = compare(measured, baseline);
note(`\n${show(verdicts)}`);
process.stdout.write(`${JSON.stringify({ figures: verdicts }, undefined, 2)}\n`);
if (values.update) {
  await Deno.writeTextFile(BASELINE, `${JSON.stringify(updated(measured, baseline), undefined, 2)}\n`);
} else if (verdicts.some(({ verdict }) => verdict === "worse")) {
  process.exitCode = 1;
}
