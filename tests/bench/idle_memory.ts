/** What an agent keeps of a machine's memory while nothing is asked, against a program that is connected and waits. */
import { ask } from "../asking.ts";
import { copyProject } from "../fleet.ts";
import { startBenchHub } from "./hub.ts";
import { interleaved, type Measurement, median, ratioOf } from "./measurement.ts";
import { startProgram } from "./program.ts";
import { settledMiB } from "./resident.ts";

const ROUNDS = 3;

const USES = [
  ["task.run", { args: ["hello"] }],
  ["which.check", { names: ["sh"] }],
  ["silent.exec", { command: ["true"] }],
] as const;

/** `deno task bench idle-memory` */
export const idleMemory: Measurement = {
  name: "idle-memory",
  summary: "resident memory of an agent, against a connected program that waits",
  async run(say) {
    await using hub = await startBenchHub();
    const { fleet } = hub;
    const dir = `${fleet.folder}/project`;
    await copyProject(dir);
    const creds = await hub.nodeCreds("bench-echo");
    let rounds = 0;
    const agent = async (uses: typeof USES | readonly []) => {
      const name = `bench-idle-${rounds++}`;
      await using process = await hub.agent(name, dir);
      for (const [verb, input] of uses) await ask(fleet.admin, name, verb, input, { waitMs: 20_000 });
      return await settledMiB(process.pid);
    };
    say(`${ROUNDS} rounds`);
    const { bare, unused, used } = await interleaved(ROUNDS, {
      async bare() {
        await using program = await startProgram("echo", [fleet.url, creds, "xtask.bench-echo.which.check"]);
        return await settledMiB(program.pid);
      },
      unused: () => agent([]),
      used: () => agent(USES),
    });
    const note = (samples: readonly number[]) =>
      `${Math.round(median(samples))} MiB, bare ${Math.round(median(bare))} MiB`;
    return [
      { name: "all capabilities, none used", ratio: ratioOf(unused, bare), tolerance: 0.2, note: note(unused) },
      { name: "task, which and silent used once", ratio: ratioOf(used, bare), tolerance: 0.2, note: note(used) },
    ];
  },
};
