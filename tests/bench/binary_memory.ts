/** What the parts of a fleet keep of a machine's memory while nothing is asked, each against the least that could stand in for it. */
import { join } from "node:path";
import { temporaryFolder } from "../fleet.ts";
import { startTestServer } from "../nats_server.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";
import { compiledProgram, PROJECT, xtaskPath } from "./binary.ts";
import { type Figure, type Measurement, median, ratioOf } from "./measurement.ts";
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

/** The parts, what stands in for each, and the ratio that it may have. */
const PARTS = {
  hub: { name: "hub, against a program that waits", against: "program", budget: 1.7 },
  hubServer: { name: "its nats-server, against a bare one", against: "server", budget: 1.6 },
  nodeServer: { name: "a node's own nats-server, against a bare one", against: "server", budget: 1.6 },
  guard: {
    name: "the shell that guards an agent's runs, against a program that waits",
    against: "program",
    budget: 0.05,
  },
  unused: { name: "agent, nothing used, against a program that waits", against: "program", budget: 2.2 },
  used: {
    name: "agent, task, which and silent used once, against a program that waits",
    against: "program",
    budget: 2.7,
  },
  alone: { name: "agent, left alone, against a program that waits", against: "program", budget: 1.7 },
} as const;
type Part = keyof typeof PARTS;

/** `deno task bench binary-memory` */
export const binaryMemory: Measurement = {
  name: "binary-memory",
  summary: "resident memory of the compiled hub, an agent and their servers, against bare ones",
  budgeted: true,
  async run(say, { quick }) {
    await using stack = new AsyncDisposableStack();
    const folder = await temporaryFolder(stack);
    const path = await xtaskPath({ quick });
    const waiting = await compiledProgram("wait", folder);
    const seen: Partial<Record<Part | "program" | "server", number[]>> = {};
    const rounds = quick ? 1 : ROUNDS;
    // What it brings along is unpacked now, which takes memory of its own; a machine does that once.
    await Deno.mkdir(join(folder, "first", "hub"), { recursive: true });
    {
      await using hub = await spawnXtask(["up", "--json", ...PORTS], runningIn(join(folder, "first"), path, "hub"));
      await hub.ready();
    }
    say(`${rounds} rounds`);
    for (let round = 0; round < rounds; round++) {
      // The last one also waits until the agent is as it is most of the time.
      const measured = await oneRound({
        path,
        waiting,
        folder: join(folder, `${round}`),
        alone: !quick && round === ROUNDS - 1,
      });
      for (const [part, mib] of Object.entries(measured) as [keyof typeof seen, number][]) {
        (seen[part] ??= []).push(mib);
      }
    }
    return (Object.keys(PARTS) as Part[]).flatMap((part): Figure[] => {
      const { name, against, budget } = PARTS[part];
      const [ours, bare = []] = [seen[part], seen[against]];
      if (ours === undefined) return [];
      const note = `${Math.round(median(ours))} MiB, bare ${Math.round(median(bare))} MiB`;
      return [{ name, ratio: ratioOf(ours, bare.slice(-ours.length)), tolerance: 0.1, budget, note }];
    });
  },
};

/** How xtask runs in a home below the folder; what it unpacks is shared by all homes. */
function runningIn(folder: string, path: string, home: string) {
  const cache = join(folder, "..", "cache");
  return {
    program: [path],
    home: join(folder, home),
    cwd: PROJECT,
    env: { PATH: Deno.env.get("PATH") ?? "", XTASK_CACHE: cache },
  };
}

/** A hub and a node that has joined it, looked at before anything is asked and after. */
async function oneRound(
  { path, waiting, folder, alone }: { path: string; waiting: string; folder: string; alone: boolean },
): Promise<Partial<Record<Part | "program" | "server", number>>> {
  await using stack = new AsyncDisposableStack();
  const options = (home: string) => runningIn(folder, path, home);
  for (const name of ["hub", "edge"]) await Deno.mkdir(join(folder, name), { recursive: true });
  const hub = stack.use(await spawnXtask(["up", "--json", "--no-agent", ...PORTS], options("hub")));
  const { natsUrl = "" } = await hub.ready();
  const { token } = JSON.parse((await xtask(["auth", "invite", "--json"], options("hub"))).stdout);
  const joining = ["agent", "--json", "--hub", natsUrl, "--name", "edge", "--join", token];
  const agent = stack.use(await spawnXtask(joining, options("edge")));
  await agent.ready();
  const program = stack.use(await startCommand([waiting]));
  const server = stack.use(await startTestServer({ jetstream: { store_dir: "$DIR/store" } }));
  const pids = {
    program: program.pid,
    server: server.pid,
    hub: hub.pid,
    hubServer: await childOf(hub.pid, "nats-server"),
    nodeServer: await childOf(agent.pid, "nats-server"),
    guard: await childOf(agent.pid, "sh"),
    unused: agent.pid,
  };
  const idle = await Promise.all(Object.entries(pids).map(async ([part, pid]) => [part, await settledMiB(pid)]));
  const quiet = alone ? { alone: await aloneMiB(agent.pid) } : {};
  for (const use of USES) {
    const { code, stderr } = await xtask(use, options("hub"));
    if (code !== 0) throw new Error(`${use.join(" ")} does not succeed: ${stderr}`);
  }
  return { ...Object.fromEntries(idle), ...quiet, used: await settledMiB(agent.pid) };
}

async function aloneMiB(pid: number): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, ALONE_MS));
  return await settledMiB(pid);
}
