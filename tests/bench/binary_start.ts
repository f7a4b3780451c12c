/** What it costs to start the compiled xtask, and how soon a new hub answers its first command. */
import { join } from "node:path";
import { temporaryFolder } from "../fleet.ts";
import { startTestServer } from "../nats_server.ts";
import { spawnXtask, xtask, type XtaskOptions } from "../xtask_process.ts";
import { compiledProgram, PROJECT, xtaskPath } from "./binary.ts";
import { type Figure, inMs, interleaved, type Measurement, ratioOf, timed } from "./measurement.ts";
import { timeCommand } from "./program.ts";

const ROUNDS = 21;
const UP_ROUNDS = 7;
const UP_ROUNDS_QUICK = 3;
const PORTS = ["--nats-port", "0", "--leaf-port", "0", "--http-port", "0"];

/** `deno task bench binary-start` */
export const binaryStart: Measurement = {
  name: "binary-start",
  summary: "the compiled xtask: version, which sh, and xtask up to its first answer",
  budgeted: true,
  async run(say, { quick }) {
    await using stack = new AsyncDisposableStack();
    const folder = await temporaryFolder(stack);
    const path = await xtaskPath({ quick });
    const emptyPath = await compiledProgram("empty", folder);
    const empty = () => timeCommand(emptyPath, []);
    const starts = {
      empty,
      version: () => timeCommand(path, ["version"]),
      which: () => timeCommand(path, ["which", "sh"]),
    };
    await interleaved(2, starts);
    say(`${ROUNDS} rounds`);
    const { empty: bare, version, which } = await interleaved(ROUNDS, starts);
    const against = (name: string, ours: readonly number[]): Figure => ({
      name: `${name}, against an empty program`,
      ratio: ratioOf(ours, bare),
      tolerance: 0.25,
      budget: 1.5,
      note: `${inMs(ours)}, empty ${inMs(bare)}`,
    });

    const env = { PATH: Deno.env.get("PATH") ?? "", XTASK_CACHE: join(folder, "cache") };
    let homes = 0;
    const ups = {
      up: () => firstAnswer({ program: [path], home: join(folder, `home-${homes++}`), cwd: PROJECT, env }),
      bare: async () =>
        await timed(async () => await (await startTestServer(JETSTREAM))[Symbol.asyncDispose]()) + await empty(),
    };
    // What it brings along is unpacked now; a machine does that once.
    await ups.up();
    const rounds = quick ? UP_ROUNDS_QUICK : UP_ROUNDS;
    say(`${rounds} rounds of xtask up`);
    const { up, bare: server } = await interleaved(rounds, ups);
    return [
      against("xtask version", version),
      against("xtask which sh", which),
      {
        name: "xtask up to its first answer, against nats-server and an empty program",
        ratio: ratioOf(up, server),
        tolerance: 0.25,
        budget: 14,
        note: `${inMs(up)}, bare ${inMs(server)}`,
      },
    ];
  },
};

const JETSTREAM = { jetstream: { store_dir: "$DIR/store" } };

/** A hub in a new home, until a command that was asked of its node is answered. */
async function firstAnswer(options: XtaskOptions): Promise<number> {
  await Deno.mkdir(options.home);
  await using stack = new AsyncDisposableStack();
  return await timed(async () => {
    const hub = stack.use(await spawnXtask(["up", "--json", ...PORTS], options));
    await hub.ready();
    const { code, stderr } = await xtask(["which", "sh", "--on", "all"], options);
    if (code !== 0) throw new Error(`The first command is not answered: ${stderr}`);
  });
}
