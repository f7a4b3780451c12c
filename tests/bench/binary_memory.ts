/** What the parts of a fleet keep of a machine's memory while nothing is asked, each against the least that could stand in for it. */
import { join } from "node:path";
import { temporaryFolder } from "../fleet.ts";
import { startTestServer } from "../nats_server.ts";
import { spawnXtask, xtask, type XtaskProcess } from "../xtask_process.ts";
import { compiledProgram, compiledXtask, PROJECT } from "./binary.ts";
import { interleaved, type Measurement, median, ratioOf } from "./measurement.ts";
import { startCommand } from "./program.ts";
import { childOf, settledMiB } from "./resident.ts";

const ROUNDS = 3;
/** A Worker with nothing to do goes after a minute. */
const ALONE_MS = 75_000;
const PORTS = ["--nats-port", "0", "--leaf-port", "0", "--http-port", "0"];
const USES = [
  ["task", "run", "hello", "--on", "edge"],
  ["which", "sh", "--on", "edge"],
  ["silent", "--on", "edge", "--", "true"],
];

/** `deno task bench binary-memory` */
export const binaryMemory: Measurement = {
  name: "binary-memory",
  summary: "resident memory of the compiled hub, an agent and their servers, against bare ones",
  async run(say) {
    await using stack = new AsyncDisposableStack();
    const folder = await temporaryFolder(stack);
    const { path } = await compiledXtask();
    const waiting = await compiledProgram("wait", folder);
    const options = (home: string) => ({
      program: [path],
      home: join(folder, home),
      cwd: PROJECT,
      env: { PATH: Deno.env.get("PATH") ?? "", XTASK_CACHE: join(folder, "cache") },
    });
    let rounds = 0;
    const inFleet = async (measure: (hub: XtaskProcess, agent: XtaskProcess, home: string) => Promise<number>) => {
      const home = `home-${rounds++}`;
      for (const name of [home, `${home}-edge`]) await Deno.mkdir(join(folder, name));
      await using hub = await spawnXtask(["up", "--json", "--no-agent", ...PORTS], options(home));
      const { natsUrl = "" } = await hub.ready();
      const { token } = JSON.parse((await xtask(["auth", "invite", "--json"], options(home))).stdout);
      const joining = ["agent", "--json", "--hub", natsUrl, "--name", "edge", "--join", token];
      await using agent = await spawnXtask(joining, options(`${home}-edge`));
      await agent.ready();
      return await measure(hub, agent, home);
    };
    say(`${ROUNDS} rounds`);
    const { bare, bareServer, hub, server, ownServer, unused, used } = await interleaved(ROUNDS, {
      async bare() {
        await using program = await startCommand([waiting]);
        return await settledMiB(program.pid);
      },
      async bareServer() {
        await using server = await startTestServer({ jetstream: { store_dir: "$DIR/store" } });
        return await settledMiB(server.pid);
      },
      hub: () => inFleet((hub) => settledMiB(hub.pid)),
      server: () => inFleet(async (hub) => await settledMiB(await childOf(hub.pid))),
      ownServer: () => inFleet(async (_, agent) => await settledMiB(await childOf(agent.pid))),
      unused: () => inFleet((_, agent) => settledMiB(agent.pid)),
      used: () =>
        inFleet(async (_, agent, home) => {
          for (const use of USES) {
            const { code, stderr } = await xtask(use, options(home));
            if (code !== 0) throw new Error(`${use.join(" ")} does not succeed: ${stderr}`);
          }
          return await settledMiB(agent.pid);
        }),
    });
    say("one more, left alone for a while");
    const alone = await inFleet(async (_, agent) => {
      await new Promise((resolve) => setTimeout(resolve, ALONE_MS));
      return await settledMiB(agent.pid);
    });
    const figure = (name: string, ours: readonly number[], against: readonly number[]) => ({
      name,
      ratio: ratioOf(ours, against),
      tolerance: 0.1,
      note: `${Math.round(median(ours))} MiB, bare ${Math.round(median(against))} MiB`,
    });
    return [
      figure("hub, against a program that waits", hub, bare),
      figure("its nats-server, against a bare one", server, bareServer),
      figure("a node's own nats-server, against a bare one", ownServer, bareServer),
      figure("agent, nothing used, against a program that waits", unused, bare),
      figure("agent, left alone, against a program that waits", bare.map(() => alone), bare),
      figure("agent, task, which and silent used once, against a program that waits", used, bare),
    ];
  },
};
