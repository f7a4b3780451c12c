/** Those who ask: they give commands to nodes, leave them with the hub, take them back, and ask again where no answer comes. */
import { type Bus, openBus } from "../../lib/nats/bus.ts";
import { pause } from "../../lib/os/pause.ts";
import { XtaskError } from "../../lib/protocol/error.ts";
import { HUB_AUTHOR, newCommandId } from "../../lib/protocol/id.ts";
import { HEADER } from "../../lib/protocol/run.ts";
import { commandSubject, hubSubject } from "../../lib/protocol/subjects.ts";
import { HUB, type SimulatedFleet } from "./fleet.ts";
import { WORK, type Work } from "./ports/host.ts";
import type { Witness } from "./witness.ts";
import { Random } from "./world/random.ts";
import { Process } from "./world/world.ts";

/** Options of {@linkcode startUsers}. */
export interface UsersOptions {
  readonly fleet: SimulatedFleet;
  readonly witness: Witness;
  /** How many commands are asked. */
  readonly commands: number;
  /** When nothing more is asked. */
  readonly untilMs: number;
}

const TRIES = 6;
const ASK_MS = 3_000;

/**
 * Has commands asked from now on.
 *
 * @returns How long all of them take, one after the other
 */
export function startUsers({ fleet, witness, commands, untilMs }: UsersOptions): number {
  const { world } = fleet.ground;
  const random = new Random(world.seed, "users");
  const user = new Process("user", HUB, { offsetMs: 0 });
  const bus = Promise.withResolvers<Bus>();
  world.after(0, user, () => {
    openBus({ servers: `nats://${HUB}:4222`, waitOnFirstConnect: true }).then(bus.resolve);
  });
  let workMs = 0;
  for (let number = 0; number < commands; number++) {
    const way = random.pick(["give", "give", "leave", "move"] as const);
    // What may move is what takes long.
    const long = random.chance(way === "move" ? 0.6 : 0.2);
    const work: Work = {
      ms: !long ? random.around(1_000) : random.around(way === "move" ? 20_000 : 8_000),
      bytes: random.chance(0.6) ? random.int(0, 20_000) : 0,
      exitCode: random.chance(0.9) ? 0 : 1,
      stubbornMs: random.chance(0.7) ? 50 : 8_000,
    };
    workMs += work.ms;
    const node = random.pick(fleet.nodes).id;
    const how = { deadlineMs: random.chance(0.2) ? random.around(15_000) : undefined };
    const cancelMs = random.chance(0.2) ? random.around(3_000) : undefined;
    const again = random.chance(0.2);
    world.after(random.between(0, untilMs), user, () => {
      const id = newCommandId();
      const act = async () => {
        const asked = { give, leave, move }[way](await bus.promise, id);
        if (cancelMs !== undefined) void takeBack(await bus.promise, id, cancelMs);
        await asked;
      };
      act().catch(() => {});
      // Somebody who is not sure asks twice.
      if (again) world.after(random.around(500), user, () => void act().catch(() => {}));
    });
    const deadline = () =>
      how.deadlineMs === undefined ? undefined : new Date(Date.now() + how.deadlineMs).toISOString();
    const give = async (bus: Bus, id: string) => {
      const until = deadline();
      world.note(`asks ${id} of ${node}`);
      await patiently(async () => {
        await bus.request(commandSubject(node, WORK.name, "do"), JSON.stringify(work), {
          timeoutMs: ASK_MS,
          headers: {
            [HEADER.commandId]: id,
            [HEADER.wait]: "0",
            ...(until === undefined ? {} : { [HEADER.deadline]: until }),
          },
        });
        taken(id);
      });
    };
    const leave = async (bus: Bus, id: string) => {
      const until = deadline();
      world.note(`leaves ${id} for ${node}`);
      const input = {
        ...{ id, nodes: [node], capability: WORK.name, verb: "do", input: work },
        ...(until === undefined ? {} : { deadline: until }),
      };
      await patiently(async () => {
        await bus.request(hubSubject("command", "queue"), JSON.stringify(input), { timeoutMs: ASK_MS });
        taken(id);
      });
    };
    const move = async (bus: Bus, id: string) => {
      const until = deadline();
      world.note(`asks ${id} of any node`);
      const input = {
        ...{ id, any: "all", move: true, capability: WORK.name, verb: "do", input: work },
        ...(until === undefined ? {} : { deadline: until }),
      };
      await patiently(async () => {
        await bus.request(hubSubject("command", "submit"), JSON.stringify(input), { timeoutMs: ASK_MS });
        taken(id, HUB_AUTHOR);
      });
    };
    const taken = (command: string, by = node) => {
      world.note(`is told that ${command} is taken`);
      if (!witness.acknowledged.some((run) => run.command === command)) {
        witness.acknowledged.push({ command, node: by });
      }
    };
    const takeBack = async (bus: Bus, id: string, afterMs: number) => {
      await pause(afterMs);
      world.note(`takes ${id} back`);
      await bus.request(hubSubject("command", "cancel"), JSON.stringify({ id }), { timeoutMs: 20_000 }).catch(() => {});
    };
  }
  return workMs;

  /** Asks until there is an answer that another try would not change. */
  async function patiently(act: () => Promise<void>): Promise<void> {
    for (let tries = 1; tries <= TRIES; tries++) {
      try {
        return await act();
      } catch (error) {
        const { code, message } = XtaskError.from(error);
        world.note(`is told: ${code} ${message}`);
        if (!["timeout", "unavailable"].includes(code)) return;
      }
      await pause(random.around(1_000));
    }
  }
}
