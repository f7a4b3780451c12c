/** A run's output on its way into the stream of logs, against the same command's output published into a stream. */
import type { Bus } from "../../lib/nats/bus.ts";
import { readStream, STREAM } from "../../lib/nats/streams.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { HEADER } from "../../lib/protocol/run.ts";
import { logSubject } from "../../lib/protocol/subjects.ts";
import { asset } from "../../scripts/assets.ts";
import { ask, resultOf } from "../asking.ts";
import { until } from "../until.ts";
import { startBenchHub } from "./hub.ts";
import { interleaved, type Measurement, median, ratioOf, timed } from "./measurement.ts";
import { pathOf, timeCommand } from "./program.ts";

const MIB = 1024 ** 2;
const BYTES = 256 * MIB;
const ROUNDS = 3;
const RUN_MS_MAX = 10 * 60_000;

const TASKFILE = `
version: "3"
silent: true
tasks:
  write:
    desc: Write so many bytes, in lines
    cmds:
      - yes "a line of output as programs write it, neither long nor short" | head -c {{.BYTES}}
`;

/** `deno task bench log-bytes` */
export const logBytes: Measurement = {
  name: "log-bytes",
  summary: `a run that writes ${BYTES / MIB} MiB into the logs, against publishing the same into a stream`,
  async run(say) {
    await using hub = await startBenchHub();
    const { fleet, adminCreds } = hub;
    const { admin } = fleet;
    const dir = `${fleet.folder}/writer`;
    await Deno.mkdir(dir);
    await Deno.writeTextFile(`${dir}/Taskfile.yml`, TASKFILE);
    await hub.agent("bench-writer", dir);
    const task = await asset("task");
    const args = (bytes: number) => ["write", `BYTES=${bytes}`];
    const variants = (bytes: number) => ({
      xtask: () => timed(() => runToLogs(admin, "bench-writer", args(bytes), bytes)),
      bare: () =>
        timeCommand(
          Deno.execPath(),
          ["run", "-A", pathOf("pipe"), fleet.url, adminCreds, task, ...args(bytes)],
          dir,
        ),
    });
    await interleaved(1, variants(8 * MIB));
    say(`${ROUNDS} rounds`);
    const { xtask, bare } = await interleaved(ROUNDS, variants(BYTES));
    const rate = (samples: readonly number[]) => `${(BYTES / MIB / median(samples) * 1000).toFixed(1)} MiB/s`;
    return [{
      name: "time until all is stored, against a bare pipe",
      ratio: ratioOf(xtask, bare),
      tolerance: 0.6,
      note: `${rate(xtask)}, bare ${rate(bare)}`,
    }];
  },
};

/** Resolves when the last of the run's output is in the stream that people read. */
async function runToLogs(bus: Bus, node: string, args: readonly string[], bytes: number): Promise<void> {
  const id = newCommandId();
  await ask(bus, node, "task.run", { args }, { id, waitMs: 60_000 });
  const result = await resultOf(bus, node, id, RUN_MS_MAX);
  if (result.state !== "succeeded") throw new Error(`The run ended as ${JSON.stringify(result)}`);
  await until("the end of the output", async () => {
    const last = readStream(bus, STREAM.logs, { subjects: [logSubject(node, id)], from: "last-each" });
    for await (const message of last) return message.header(HEADER.logEnd) === String(bytes);
    return false;
  }, { timeoutMs: RUN_MS_MAX });
}
