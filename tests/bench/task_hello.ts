/** A task through xtask on this machine, against Task itself. */
import { fileURLToPath } from "node:url";
import { asset } from "../../scripts/assets.ts";
import { copyProject, temporaryFolder } from "../fleet.ts";
import { inMs, interleaved, type Measurement, median, ratioOf } from "./measurement.ts";
import { pathOf, timeCommand } from "./program.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const ROUNDS = 15;

/** `deno task bench task-hello` */
export const taskHello: Measurement = {
  name: "task-hello",
  summary: "xtask task hello on this machine, against task hello",
  async run(say) {
    await using stack = new AsyncDisposableStack();
    const folder = `${await temporaryFolder(stack)}/wordcount`;
    await copyProject(folder);
    // The one from the cache, as it is for whoever types it: xtask finds it there by itself.
    const task = await asset("task");
    const deno = Deno.execPath();
    const variants = {
      xtask: () => timeCommand(deno, ["run", "-A", MAIN, "task", "hello"], folder),
      task: () => timeCommand(task, ["hello"], folder),
      empty: () => timeCommand(deno, ["run", "-A", pathOf("empty")], folder),
    };
    await interleaved(2, variants);
    say(`${ROUNDS} rounds`);
    const { xtask, task: bare, empty } = await interleaved(ROUNDS, variants);
    const added = xtask.map((ms, round) => ms - (bare[round] ?? NaN));
    const both = bare.map((ms, round) => ms + (empty[round] ?? NaN));
    return [
      {
        name: "against task hello",
        ratio: ratioOf(xtask, bare),
        tolerance: 0.5,
        note: `${inMs(xtask)}, task ${inMs(bare)}: adds ${Math.round(median(added))} ms`,
      },
      {
        name: "against an empty program and then task hello",
        ratio: ratioOf(xtask, both),
        tolerance: 0.4,
        note: `Deno itself ${inMs(empty)}`,
      },
    ];
  },
};
