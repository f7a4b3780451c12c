/**
 * `deno task sim`: runs seeds, and tells those that break an invariant. Two threads share the seeds.
 *
 *     deno task sim --seeds 10000            seeds 1 to 10000
 *     deno task sim --seeds 1000 --from 501  seeds 501 to 1500
 *     deno task sim --seeds 1000 --first     up to the first that fails
 *     deno task sim --seed 42                one seed, with all that happens in it
 */
import { parseArgs } from "node:util";
import process from "node:process";
import { type Outcome, simulate } from "./scenario.ts";
import type { Step } from "./world/world.ts";

/** Steps that are shown of a seed that failed. */
const SHOWN = 25;
const THREADS = 2;
/** Seeds that a thread takes at once. */
const SHARE = 10;

/** The last line where nothing was wrong. */
export const ALL_HELD = "every invariant held";

const write = (line: string) => void process.stdout.write(`${line}\n`);

/** A step as a line. */
export function lineOf({ at, process, text }: Step): string {
  return `${(at / 1000).toFixed(4).padStart(10)}  ${process.padEnd(10)}  ${text}`;
}

/** What went wrong with a seed, and what went before. */
export function accountOf({ seed, violations, steps }: Outcome): string {
  return [
    `seed ${seed} broke ${[...new Set(violations.map(({ invariant }) => invariant))].join(", ")}`,
    ...violations.map(({ invariant, text }) => `  ${invariant}: ${text}`),
    ...steps.slice(-SHOWN).map(lineOf),
    `  all of it: deno task sim --seed ${seed}`,
  ].join("\n");
}

/** Runs seeds on several threads; hears each outcome, and begins no more once that says so. */
export async function runSeeds(
  seeds: readonly number[],
  onOutcome: (outcome: Outcome) => "enough" | void,
): Promise<void> {
  let next = 0;
  const thread = async () => {
    const worker = new Worker(new URL("./thread.ts", import.meta.url), { type: "module" });
    try {
      while (next < seeds.length) {
        const share = seeds.slice(next, next + SHARE);
        next += SHARE;
        const { promise, resolve, reject } = Promise.withResolvers<readonly Outcome[]>();
        worker.onmessage = ({ data }: MessageEvent<readonly Outcome[]>) => resolve(data);
        worker.onerror = (event) => {
          event.preventDefault();
          reject(new Error(`seeds ${share}: ${event.message}`));
        };
        worker.postMessage(share);
        for (const outcome of await promise) if (onOutcome(outcome) === "enough") next = Infinity;
      }
    } finally {
      worker.terminate();
    }
  };
  await Promise.all(Array.from({ length: THREADS }, thread));
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      seeds: { type: "string" },
      from: { type: "string" },
      seed: { type: "string" },
      first: { type: "boolean" },
    },
  });
  if (values.seed !== undefined) {
    const outcome = await simulate(Number(values.seed), (step) => write(lineOf(step)));
    for (const { invariant, text } of outcome.violations) write(`${invariant}: ${text}`);
    write(`seed ${outcome.seed}: ${outcome.events} events, digest ${outcome.digest.toString(16)}`);
    return outcome.violations.length > 0 ? 1 : 0;
  }
  const [from, count] = [Number(values.from ?? 1), Number(values.seeds ?? 1_000)];
  const begun = performance.now();
  let [events, virtualMs, commands, done] = [0, 0, 0, 0];
  const failed: number[] = [];
  const seeds = Array.from({ length: count }, (_, at) => from + at);
  await runSeeds(seeds, (outcome) => {
    done++;
    events += outcome.events;
    virtualMs += outcome.virtualMs;
    commands += outcome.commands;
    if (outcome.violations.length > 0) {
      failed.push(outcome.seed);
      write(`\n${accountOf(outcome)}`);
      if (values.first) return "enough";
    }
    if (done % 1_000 === 0) write(`${done} seeds, ${failed.length} failed`);
  });
  const seconds = (performance.now() - begun) / 1_000;
  write(
    `\n${done} seeds in ${seconds.toFixed(0)} s: ${commands} commands, ${
      (virtualMs / 3.6e6).toFixed(0)
    } simulated hours, ` +
      `${Math.round(events / seconds)} events/s, ${(1_000 * seconds / done).toFixed(0)} ms a seed`,
  );
  write(failed.length === 0 ? ALL_HELD : `failed: ${failed.sort((a, b) => a - b).join(" ")}`);
  return failed.length === 0 ? 0 : 1;
}

if (import.meta.main) process.exitCode = await main(Deno.args);
