/** What it costs to start xtask from source, against a Deno program that does nothing. */
import { fileURLToPath } from "node:url";
import { type Figure, inMs, interleaved, type Measurement, median, ratioOf } from "./measurement.ts";
import { pathOf, timeCommand } from "./program.ts";

const MAIN = fileURLToPath(new URL("../../main.ts", import.meta.url));
const ROUNDS = 21;

/** `deno task bench start-up` */
export const startUp: Measurement = {
  name: "start-up",
  summary: "xtask version and xtask which sh from source, against an empty program",
  async run(say) {
    const variant = (path: string, ...args: string[]) => () =>
      timeCommand(Deno.execPath(), ["run", "-A", path, ...args]);
    const variants = {
      empty: variant(pathOf("empty")),
      imports: variant(pathOf("imports")),
      version: variant(MAIN, "version"),
      which: variant(MAIN, "which", "sh"),
    };
    // The first start compiles, and every later one reads what it left.
    await interleaved(2, variants);
    say(`${ROUNDS} rounds`);
    const { empty, imports, version, which } = await interleaved(ROUNDS, variants);
    const against = (name: string, ours: readonly number[], aim?: number): Figure => ({
      name: `${name}, against an empty program`,
      ratio: ratioOf(ours, empty),
      tolerance: 0.4,
      ...(aim === undefined ? {} : { aim }),
      note: `${inMs(ours)}, empty ${inMs(empty)}`,
    });
    const added = (ours: readonly number[]) => ours.map((ms, round) => ms - (empty[round] ?? NaN));
    const share = median(added(imports)) / median(added(version));
    return [
      against("xtask version", version, 2),
      against("xtask which sh", which, 2),
      { ...against("loading lib/cli/main.ts", imports), note: `${Math.round(100 * share)} % of what version adds` },
    ];
  },
};
