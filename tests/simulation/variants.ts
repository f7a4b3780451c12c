/**
 * Broken variants of xtask: what the simulator is worth. Each is a change of one production file, which is given to the
 * simulator in place of the real one, and an invariant that has to notice.
 */
import { dirname, join } from "node:path";
import type { Invariant } from "./invariants.ts";
import { ALL_HELD } from "./run.ts";

/** A change that breaks a promise. */
export interface Variant {
  readonly name: string;
  /** From the root of the repository. */
  readonly file: string;
  readonly find: string;
  readonly replace: string;
  /** Those that notice it, whichever comes first. */
  readonly caughtBy: readonly Invariant[];
  /** A seed that noticed it when this was written. It is tried first, and then others. */
  readonly seed: number;
}

/** The variants. */
export const VARIANTS: readonly Variant[] = [
  {
    name: "a command is acknowledged before the journal has it",
    file: "lib/agent/runs.ts",
    find: "await (run.kept = journal.accept(accepted));",
    replace: "journal.accept(accepted).catch(() => {});",
    caughtBy: ["I1", "I2"],
    seed: 43,
  },
  {
    name: "the journal forgets a report before it is acknowledged",
    file: "lib/agent/outbox.ts",
    find: "const outcomes = await Promise.allSettled(",
    replace:
      "await this.#options.journal.drop(batch.map(({ report }) => report.seq));\nconst outcomes = await Promise.allSettled(",
    caughtBy: ["I4"],
    seed: 1,
  },
  {
    name: "what is sent again after newer reports is skipped as older",
    file: "lib/agent/hub_link.ts",
    find: "if ((await stored).has(id)) return;",
    replace:
      "if (report.seq < (globalThis.newest?.[node] ?? 0)) return;\n(globalThis.newest ??= {})[node] = report.seq;",
    caughtBy: ["I4"],
    seed: 2,
  },
  {
    name: "a batch is sent before it is known where it ends",
    file: "lib/agent/forwarder.ts",
    find: "if (this.#position.sent === undefined) await this.#save({ sent: last });",
    replace: "",
    caughtBy: ["I3", "I4"],
    seed: 1,
  },
  {
    name: "a batch does not say which one it follows",
    file: "lib/nats/batch.ts",
    find: 'if (index === 0) made.set("Nats-Expected-Last-Subject-Sequence", String(expected));',
    replace: "",
    caughtBy: ["I3", "I4"],
    seed: 12,
  },
  {
    name: "a batch whose fate is not known is taken for stored",
    file: "lib/agent/forwarder.ts",
    find: "if (inVain) this.#answerMs = slowMs;\n      throw error;",
    replace: "outcome = { first: this.#position.mark + 1 };",
    caughtBy: ["I4"],
    seed: 32,
  },
  {
    name: "the node's own store is purged up to what was sent",
    file: "lib/agent/forwarder.ts",
    find: "await purgeOut(bus, old.done + 1);",
    replace: "await purgeOut(bus, this.#last + 1);",
    caughtBy: ["I4"],
    seed: 26,
  },
  {
    name: "what a killed agent left goes on",
    file: "lib/agent/runs.ts",
    find: "await endProcesses({ groups: [], mark: markOf(node, accepted.id) });",
    replace: "",
    caughtBy: ["I7"],
    seed: 5,
  },
  {
    name: "a result that the disk refuses is given up",
    file: "lib/agent/runs.ts",
    find: "const late = this.#recordLate(result, closing);",
    replace: "const late = Promise.resolve(false);",
    caughtBy: ["I2", "I5", "I8"],
    seed: 37,
  },
  {
    name: "the queue forgets a command before its node has it",
    file: "lib/hub/queue.ts",
    find: "if (!one.tried) await keep(tried);",
    replace: "await drop(one);",
    caughtBy: ["I2"],
    seed: 9,
  },
  {
    name: "what may have reached its node is taken back",
    file: "lib/hub/queue.ts",
    find: "if (one === undefined || one.tried) return false;",
    replace: "if (one === undefined) return false;",
    caughtBy: ["I3"],
    seed: 250,
  },
  {
    name: "a lease is measured by the wall clock",
    file: "lib/agent/agent.ts",
    find: "elapsed = elapsedClock()",
    replace: "elapsed = Date.now",
    caughtBy: ["I1"],
    seed: 38,
  },
  {
    name: "a node goes on when its lease has lapsed",
    file: "lib/agent/lease.ts",
    find: 'effects.push({ type: "stop", id, why: "lapsed" });',
    replace: "",
    caughtBy: ["I1", "I8"],
    seed: 53,
  },
  {
    name: "the hub does not wait for a lease to end",
    file: "lib/hub/placement/decide.ts",
    find: "if (silentMs < regrantMs) return",
    replace: "if (silentMs < regrantMs / 2) return",
    caughtBy: ["I1"],
    seed: 9,
  },
  {
    name: "a gap in the output is not told",
    file: "lib/agent/output.ts",
    find: "...(this.#lost > 0 ? { [HEADER.logGap]: String(this.#lost) } : {}),",
    replace: "",
    caughtBy: ["I5"],
    seed: 67,
  },
  {
    name: "the hub tells once that a node is there or gone",
    file: "lib/hub/telling.ts",
    find: "waiting = waiting.filter((one) => !stored.has(one));",
    replace: "waiting = waiting.slice(batch.length);",
    caughtBy: ["told", "I8"],
    seed: 100,
  },
];

/** What a variant came to. */
export interface Caught {
  readonly seed: number;
  readonly invariants: readonly string[];
}

const ROOT = dirname(dirname(import.meta.dirname as string));

/**
 * Runs seeds with a variant until one breaks an invariant.
 *
 * @returns undefined where none did
 * @throws {Error} where the production code has no such place any more
 */
export async function catchVariant(variant: Variant, seeds: number): Promise<Caught | undefined> {
  const { file, find, replace, name } = variant;
  const path = join(ROOT, file);
  const source = await Deno.readTextFile(path);
  if (source.split(find).length !== 2) throw new Error(`${file} does not have once, for '${name}': ${find}`);
  const folder = await Deno.makeTempDir({ prefix: "xtask-variant-" });
  try {
    const broken = join(folder, "variant.ts");
    await Deno.writeTextFile(broken, absolute(source.replace(find, () => replace), path));
    const { imports } = JSON.parse(await Deno.readTextFile(join(ROOT, "deno.json"))) as { imports: object };
    const map = join(folder, "map.json");
    await Deno.writeTextFile(map, JSON.stringify({ imports: { ...imports, [urlOf(path)]: urlOf(broken) } }));
    return await tried(["--from", `${variant.seed}`, "--seeds", "1"], map) ??
      await tried(["--first", "--seeds", `${seeds}`], map);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs seeds with the modules that an import map names. */
async function tried(seeds: readonly string[], map: string): Promise<Caught | undefined> {
  const { stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--import-map", map, "tests/simulation/run.ts", ...seeds],
    cwd: ROOT,
    stdin: "null",
  }).output();
  const text = new TextDecoder().decode(stdout);
  const [, seed, invariants = ""] = /^seed (\d+) broke (.*)$/m.exec(text) ?? [];
  if (seed !== undefined) return { seed: Number(seed), invariants: invariants.split(", ") };
  if (text.includes(ALL_HELD)) return undefined;
  throw new Error(`The variant did not run: ${new TextDecoder().decode(stderr)}`);
}

const urlOf = (path: string) => new URL(`file://${path}`).href;

/** A module that means the same wherever it lies. */
function absolute(source: string, path: string): string {
  return source.replaceAll(
    /(from|import\() ?"(\.[^"]+)"/g,
    (_, word, to) => `${word} "${new URL(to, urlOf(path)).href}"`,
  );
}
