/**
 * Measures xtask against something bare, and this against the committed baseline.
 *
 * ```sh
 * deno task bench [NAME…] [--update] [--budgets]
 * ```
 *
 * prints a table to standard error and JSON to standard output. The exit code is 1 where a figure is worse than the
 * baseline by more than its tolerance, or than its budget by more than 10 %. Only ratios are compared, since machines differ. `--update` makes the figures the
 * baseline. `--budgets` looks at budgets alone, in few rounds, of the binary that lies in `dist/`: a part of
 * `deno task test`. What is over one is measured once more, in full, since a busy machine is no fault of ours.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { table } from "../../lib/cli/terminal.ts";
import { parseJson } from "../../lib/protocol/parse.ts";
import { binarySize } from "./binary_size.ts";
import { binaryMemory } from "./binary_memory.ts";
import { binaryStart } from "./binary_start.ts";
import { Baseline, compare, type Measured, updated, type Verdict } from "./baseline.ts";
import { catchUp } from "./catch_up.ts";
import { discover } from "./discover.ts";
import { heartbeats } from "./heartbeats.ts";
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
  ...[
    whichCheck,
    leafCost,
    taskHello,
    startUp,
    logBytes,
    idleMemory,
    discover,
    heartbeats,
    catchUp,
    pageClick,
    pageTabs,
  ],
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

async function measure(measurements: readonly Measurement[], quick = false): Promise<Measured[]> {
  const measured: Measured[] = [];
  for (const { name, summary, run } of measurements) {
    note(`${name}: ${summary}`);
    measured.push({ measurement: name, figures: await run((line) => note(`  ${line} …`), { quick }) });
  }
  return measured;
}

/** Budgets alone: without a baseline, nothing but a budget can be exceeded. */
async function budgets(): Promise<Verdict[]> {
  const over = ({ verdict }: Verdict) => verdict === "worse";
  const first = compare(await measure(MEASUREMENTS.filter(({ budgeted }) => budgeted), true), {});
  const again = MEASUREMENTS.filter(({ name }) => first.some((one) => over(one) && one.measurement === name));
  if (again.length === 0) return first;
  note(`\n${show(first.filter(over))}\nonce more:`);
  const kept = first.filter(({ measurement }) => !again.some(({ name }) => name === measurement));
  return [...kept, ...compare(await measure(again), {})];
}

function show(verdicts: readonly Verdict[]): string {
  const rows = verdicts.map(({ measurement, name, ratio, baseline, tolerance, aim, budget, verdict, note }) => [
    measurement,
    name,
    `${ratio.toFixed(2)}${aim !== undefined && ratio > aim ? " > aim" : ""}`,
    budget !== undefined ? `≤ ${Number(budget.toFixed(2))}, a budget` : aim === undefined ? "" : `≤ ${aim}`,
    baseline === undefined ? "" : `${baseline.toFixed(2)} +${Math.round(tolerance * 100)} %`,
    verdict === "worse" ? "WORSE" : verdict,
    note,
  ]);
  return table(["MEASUREMENT", "FIGURE", "RATIO", "AIM", "BASELINE", "", "HERE"], rows);
}

/** Prints what was found; the exit code is 1 where something is worse. */
function tell(verdicts: readonly Verdict[]): void {
  note(`\n${show(verdicts)}`);
  process.stdout.write(`${JSON.stringify({ figures: verdicts }, undefined, 2)}\n`);
  if (verdicts.some(({ verdict }) => verdict === "worse")) process.exitCode = 1;
}

const { values, positionals } = parseArgs({
  args: Deno.args,
  options: { update: { type: "boolean", default: false }, budgets: { type: "boolean", default: false } },
  allowPositionals: true,
});
if (values.budgets) tell(await budgets());
else {
  const measured = await measure(chosen(positionals));
  const baseline = parseJson(Baseline, await Deno.readTextFile(BASELINE), "baseline");
  tell(compare(measured, baseline));
  if (values.update) {
    await Deno.writeTextFile(BASELINE, `${JSON.stringify(updated(measured, baseline), undefined, 2)}\n`);
    process.exitCode = 0;
  }
}
