/** One seed: a fleet, what is asked of it, what goes wrong, and whether what must hold holds. */
import { nuid } from "@nats-io/nats-core";
import { startFaults } from "./faults.ts";
import { SimulatedFleet } from "./fleet.ts";
import { type Violation, violation } from "./invariants.ts";
import { startUsers } from "./users.ts";
import { Witness } from "./witness.ts";
import { enter } from "./world/globals.ts";
import { Network } from "./world/network.ts";
import { Random } from "./world/random.ts";
import { tcpOf } from "./world/tcp.ts";
import { type Step, World } from "./world/world.ts";

/** What came of a seed. */
export interface Outcome {
  readonly seed: number;
  readonly violations: readonly Violation[];
  /** The newest steps before the end. */
  readonly steps: readonly Step[];
  readonly events: number;
  readonly virtualMs: number;
  readonly commands: number;
  /** The same for two runs of a seed. */
  readonly digest: number;
}

/** When faults stop, all is to be at rest within this and what the work takes: a node may have one slot. */
const REST_MS = 240_000;
const LOOK_MS = 1_000;

/** Runs a seed. */
export async function simulate(seed: number, onStep?: (step: Step) => void): Promise<Outcome> {
  const world = new World(seed);
  if (onStep !== undefined) world.onStep = onStep;
  const network = new Network(world);
  using _inside = enter(world, tcpOf(world, network));
  // The library's ids of inboxes go on from seed to seed.
  nuid.reset();
  const random = new Random(seed, "scenario");
  const nodes = Array.from({ length: random.int(1, 3) }, (_, number) => ({
    id: `n${number + 1}`,
    leaf: random.chance(0.7),
    slots: random.int(1, 3),
    guarded: random.chance(0.7),
  }));
  const fleet = new SimulatedFleet({ world, network }, nodes);
  const witness = new Witness(fleet);
  const untilMs = random.between(20_000, 90_000);
  const uncaught = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    const { message } = event.reason instanceof Error ? event.reason : new Error(String(event.reason));
    witness.violations.push(violation("alive", `${world.current.name}: ${message}`));
    world.end();
  };
  globalThis.addEventListener("unhandledrejection", uncaught);
  try {
    fleet.start();
    const workMs = startUsers({ fleet, witness, commands: random.int(5, 25), untilMs });
    startFaults(fleet, { count: random.int(0, 14), untilMs });
    const look = () => {
      witness.look();
      if (world.now > untilMs && witness.unsettled.length === 0) world.end();
      world.after(LOOK_MS, world.outside, look);
    };
    world.after(LOOK_MS, world.outside, look);
    await world.run(untilMs + workMs + REST_MS);
    if (witness.violations.length === 0) {
      witness.account();
      const unsettled = witness.unsettled;
      if (unsettled.length > 0) witness.violations.push(violation("I8", unsettled.join("; ")));
    }
  } finally {
    globalThis.removeEventListener("unhandledrejection", uncaught);
  }
  return {
    seed,
    violations: witness.violations,
    steps: world.steps,
    events: world.events,
    virtualMs: world.now,
    commands: witness.acknowledged.length,
    digest: world.digest >>> 0,
  };
}
