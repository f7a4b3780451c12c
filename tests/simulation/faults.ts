/** What goes wrong: from the seed, each fault with its time, all of them over by a moment. */
import { HUB, type HubSite, type NodeSite, type SimulatedFleet } from "./fleet.ts";
import { Random } from "./world/random.ts";

/** Lets things go wrong from now on; at `untilMs` all is well again. */
export function startFaults(fleet: SimulatedFleet, { count, untilMs }: { count: number; untilMs: number }): void {
  const { world, network } = fleet.ground;
  const random = new Random(world.seed, "faults");
  const note = (text: string) => world.note(text, world.outside);
  const forMs = () => Math.min(random.chance(0.7) ? random.around(4_000) : random.around(25_000), untilMs / 2);
  const node = () => random.pick(fleet.nodes);
  const service = () => random.pick(fleet.sites.flatMap(({ services }) => services));

  const cut = ({ id }: NodeSite, ms = forMs()) => {
    const ways = random.pick([[[id, HUB], [HUB, id]], [[id, HUB], [HUB, id]], [[id, HUB]], [[HUB, id]]]);
    note(`cut for ${Math.round(ms)} ms: ${ways.map(([from, to]) => `${from} to ${to}`).join(", ")}`);
    for (const [from, to] of ways) network.setCut(from as string, to as string, true);
    world.after(ms, world.outside, () => {
      note(`whole again: ${id} and ${HUB}`);
      for (const [from, to] of ways) network.setCut(from as string, to as string, false);
    });
  };
  const fill = (disk: { full: boolean }, ms: number) => {
    note(`a disk is full for ${Math.round(ms)} ms`);
    disk.full = true;
    world.after(ms, world.outside, () => disk.full = false);
  };
  const setClock = ({ clock, services: [first] }: NodeSite | HubSite, byMs: number) => {
    clock.offsetMs += byMs;
    note(`the clock beside ${first?.name} is off by ${Math.round(clock.offsetMs / 1000)} s`);
  };
  const faults: Readonly<Record<string, readonly [weight: number, act: () => void]>> = {
    cut: [4, () => cut(node())],
    reset: [2, () => {
      const { id } = node();
      note(`connections of ${id} with ${HUB} break`);
      network.reset(id, HUB);
    }],
    kill: [5, () => service().kill(random.around(1_500))],
    stop: [1, () => service().stop(forMs())],
    still: [1, () => fleet.standStill(random.pick(fleet.sites), forMs())],
    terminate: [1, () => node().terminate()],
    power: [2, () => {
      const site = random.pick(fleet.sites);
      if (site.services.some(({ running }) => running)) fleet.powerLoss(site, 1_000 + forMs());
    }],
    full: [2, () => fill(random.pick(fleet.disks), forMs())],
    clock: [1, () => setClock(random.pick(fleet.sites), random.between(-600_000, 600_000))],
    // Whatever a machine measures by its wall clock while nobody reaches it is wrong.
    adrift: [1, () => {
      const site = node();
      cut(site, random.between(20_000, 40_000));
      world.after(random.between(1_000, 10_000), world.outside, () => setClock(site, random.between(-120_000, 0)));
    }],
  };
  // What a run writes then has nowhere to go. From a source of its own, so that most worlds are what they are without it.
  const harsh = new Random(world.seed, "cornered");
  const corner = () => {
    const [site, ms] = [harsh.pick(fleet.nodes), Math.min(harsh.around(15_000), untilMs / 2)];
    cut(site, ms);
    network.reset(site.id, HUB);
    site.server?.kill(ms);
    fill(site.disk, ms);
  };
  const bag = Object.values(faults).flatMap(([weight, act]) => Array<() => void>(weight).fill(act));
  for (let number = 0; number < count; number++) {
    world.after(random.between(0, untilMs * 0.9), world.outside, random.pick(bag));
  }
  if (harsh.chance(0.3)) world.after(harsh.between(0, untilMs * 0.9), world.outside, corner);
  world.after(untilMs, world.outside, () => {
    // But for what was stopped for longer: it goes on when its time has come.
    note("nothing goes wrong any more");
    for (const { id } of fleet.nodes) {
      network.setCut(id, HUB, false);
      network.setCut(HUB, id, false);
    }
    for (const disk of fleet.disks) disk.full = false;
  });
}
