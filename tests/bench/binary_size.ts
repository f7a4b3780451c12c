/** How large the file is that people get, for each platform, against the run-time in it. */
import { TARGETS } from "../../scripts/targets.ts";
import { compiledXtask } from "./binary.ts";
import type { Figure, Measurement } from "./measurement.ts";

/** `deno task bench binary-size` */
export const binarySize: Measurement = {
  name: "binary-size",
  summary: "the compiled xtask of every platform, against the run-time in it",
  // Compiling fails where it is exceeded, so that the test command need not look again.
  async run(say) {
    const figures: Figure[] = [];
    for (const target of TARGETS) {
      say(target.triple);
      const { bytes, parts } = await compiledXtask(target);
      const runtime = parts.find(({ name }) => name === "run-time")?.bytes ?? NaN;
      figures.push({
        name: target.triple,
        ratio: bytes / runtime,
        tolerance: 0.1,
        budget: target.budgetMB * 1e6 / runtime,
        note: `${inMB(bytes)}: ${parts.map(({ name, bytes }) => `${name} ${inMB(bytes)}`).join(", ")}`,
      });
    }
    return figures;
  },
};

const inMB = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
