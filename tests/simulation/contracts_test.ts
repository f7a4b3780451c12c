/** The stand-ins of the world keep the contracts of what they stand for. */
import assert from "node:assert/strict";
import { Journal } from "../../lib/agent/journal.ts";
import { type Bus, openBus } from "../../lib/nats/bus.ts";
import { startTestServer } from "../nats_server.ts";
import { journalContract, ownStoreContract, serverContract } from "./contracts.ts";
import { Store } from "./nats/jetstream.ts";
import { NatsServer } from "./nats/server.ts";
import { JournalDisk, SimulatedJournal } from "./ports/journal.ts";
import { enter } from "./world/globals.ts";
import { Network } from "./world/network.ts";
import { Random } from "./world/random.ts";
import { tcpOf } from "./world/tcp.ts";
import { Process, World } from "./world/world.ts";

/** Runs a test in a world, in the name of a program. */
async function inWorld(act: (world: World, network: Network, program: Process) => Promise<void>): Promise<void> {
  const world = new World(1);
  const network = new Network(world);
  using _inside = enter(world, tcpOf(world, network));
  const program = new Process("test", "here", { offsetMs: 0 });
  const done = Promise.withResolvers<void>();
  world.after(
    0,
    program,
    () => act(world, network, program).then(done.resolve, done.reject).finally(() => world.end()),
  );
  const late = Promise.reject(new Error("it came to no end in an hour"));
  late.catch(() => {});
  await world.run(3_600_000);
  await Promise.race([done.promise, late]);
}

async function onRealServer(act: (bus: Bus) => Promise<void>): Promise<void> {
  await using server = await startTestServer({ jetstream: { store_dir: "$DIR/store" } });
  await using bus = await openBus({ servers: server.url });
  await act(bus);
}

const onSimulatedServer = (act: (bus: Bus) => Promise<void>) =>
  inWorld(async (world, network) => {
    const process = new Process("server", "there", { offsetMs: 0 });
    new NatsServer({ world, network, process, name: "there", port: 4222, store: new Store() });
    await act(await openBus({ servers: "nats://there:4222" }));
  });

Deno.test("a journal keeps its contract", async () => {
  const dir = await Deno.makeTempDir();
  let copies = 0;
  try {
    await journalContract({
      open: () => new Journal(`${dir}/j${copies}`),
      async kill(journal) {
        for (const end of ["", "-wal"]) await Deno.copyFile(`${dir}/j${copies}${end}`, `${dir}/j${copies + 1}${end}`);
        copies++;
        journal[Symbol.dispose]();
      },
    });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("and so does the simulated one", () =>
  inWorld(async (world) => {
    const disk = new JournalDisk();
    const agents: Process[] = [];
    await journalContract({
      open() {
        const process = new Process("agent", "here", { offsetMs: 0 });
        agents.push(process);
        // What the agent does is done in its name, which the test has not.
        return new SimulatedJournal({ world, process, disk, random: new Random(1, "journal") });
      },
      kill: () => world.kill(agents.at(-1) as Process),
    });
  }));

Deno.test("a nats-server keeps the contract that hub and agents rely on", () => onRealServer(serverContract));

Deno.test("and so does the simulated one, told by the same client", () => onSimulatedServer(serverContract));

Deno.test("a nats-server keeps the contract of a leaf node's own store", () => onRealServer(ownStoreContract));

Deno.test("and so does the simulated one, with its own store", () => onSimulatedServer(ownStoreContract));

Deno.test("the world is left behind when it is over", async () => {
  const before = [setTimeout, Date, Math.random, performance.now, Deno.connect, crypto.randomUUID];
  await inWorld(() => Promise.resolve());
  const after = [setTimeout, Date, Math.random, performance.now, Deno.connect, crypto.randomUUID];
  assert.deepEqual(after, before);
});
