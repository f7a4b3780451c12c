/** A hub and nodes in a world: xtask's own hub and agent, on simulated machines. */
import { type Agent, startAgentOn } from "../../lib/agent/agent.ts";
import type { Machine } from "../../lib/agent/machine.ts";
import type { ProjectKeys } from "../../lib/auth/keyring.ts";
import { type Hub, startHub } from "../../lib/hub/hub.ts";
import { openBus } from "../../lib/nats/bus.ts";
import { inboxPrefix } from "../../lib/protocol/subjects.ts";
import { Store } from "./nats/jetstream.ts";
import { acceptLeaves, linkWith } from "./nats/leaf_link.ts";
import { NatsServer } from "./nats/server.ts";
import { Processes, SimulatedGuard, simulatedHost, WORK } from "./ports/host.ts";
import { JournalDisk, SimulatedJournal } from "./ports/journal.ts";
import type { Network } from "./world/network.ts";
import { Random } from "./world/random.ts";
import { type Clock, Process, type World } from "./world/world.ts";

/** The host of the hub. */
export const HUB = "hub";
/** The project of the fleet. */
export const PROJECT = "p";
const PORT = 4222;
/** Between SIGTERM and SIGKILL. */
const GRACE_MS = 5_000;

/** Where everything happens. */
export interface Ground {
  readonly world: World;
  readonly network: Network;
}

/** A program that is started again whenever it ends, as a system's supervisor does it. */
export class Service {
  readonly #ground: Ground;
  readonly #host: string;
  readonly #clock: Clock;
  readonly #start: (process: Process) => void;
  readonly name: string;
  process: Process;
  #powered = false;

  constructor(ground: Ground, name: string, host: string, clock: Clock, start: (process: Process) => void) {
    [this.#ground, this.name, this.#host, this.#clock, this.#start] = [ground, name, host, clock, start];
    this.process = new Process(name, host, clock);
    this.process.alive = false;
  }

  get running(): boolean {
    return this.process.alive;
  }

  /** Starts it, unless it runs. */
  start(afterMs = 0): void {
    this.#powered = true;
    const { world } = this.#ground;
    world.after(afterMs, world.outside, () => {
      if (this.process.alive || !this.#powered) return;
      const process = this.process = new Process(this.name, this.#host, this.#clock);
      world.note("starts", process);
      world.after(0, process, () => this.#start(process));
    });
  }

  /** Kills it; it is started again after a while. */
  kill(againMs: number): void {
    if (!this.process.alive) return;
    const { world } = this.#ground;
    world.note("is killed", this.process);
    world.kill(this.process);
    this.start(againMs);
  }

  /** It goes with its machine. */
  darken(): void {
    this.#powered = false;
    this.#ground.world.kill(this.process);
  }

  stop(forMs: number): void {
    this.#ground.world.note(`is stopped for ${Math.round(forMs)} ms`, this.process);
    this.#ground.world.stop(this.process, forMs);
  }
}

/** How a program that cannot go on ends; it is started again. */
function ended(ground: Ground, service: Service, error: unknown): void {
  ground.world.note(`ends: ${error instanceof Error ? error.message : error}`, service.process);
  service.kill(2_000);
}

const log = ({ world }: Ground, process: Process) => (level: string, message: string) =>
  world.note(`${level}: ${message}`, process);

/** The hub's machine. */
export class HubSite {
  readonly store = new Store();
  readonly clock: Clock = { offsetMs: 0 };
  readonly server: Service;
  readonly service: Service;
  hub: Hub | undefined;

  constructor(readonly ground: Ground) {
    const { store, clock } = this;
    this.server = new Service(ground, "hub.server", HUB, clock, (process) => {
      acceptLeaves(new NatsServer({ ...ground, process, name: HUB, port: PORT, store }));
    });
    this.service = new Service(ground, "hub", HUB, clock, (process) => {
      this.#run(process).catch((error) => ended(ground, this.service, error));
    });
  }

  get services(): Service[] {
    return [this.server, this.service];
  }

  async #run(process: Process): Promise<void> {
    process.onKilled.push(() => this.hub = undefined);
    const bus = await openBus({
      servers: `nats://${HUB}:${PORT}`,
      inboxPrefix: inboxPrefix("hub"),
      waitOnFirstConnect: true,
    });
    // Of the keys it asks nothing but the project's name, as nobody joins here.
    const keys = { project: PROJECT } as ProjectKeys;
    this.hub = await startHub({ bus, keys, address: HUB, log: log(this.ground, process) });
    this.ground.world.note("answers");
  }
}

/** How a node is made. */
export interface NodeOptions {
  readonly id: string;
  /** Whether it has a server of its own. */
  readonly leaf: boolean;
  readonly slots: number;
  /** Whether what an agent started is ended when it is killed, and what its lease forbids when it stands still. */
  readonly guarded: boolean;
}

/** A node's machine. */
export class NodeSite {
  readonly disk = new JournalDisk();
  readonly store = new Store();
  readonly clock: Clock = { offsetMs: 0 };
  readonly processes: Processes;
  readonly server: Service | undefined;
  readonly service: Service;
  agent: Agent | undefined;
  /** When an agent of this machine was killed, or its machine lost its power. */
  readonly killedAt: number[] = [];

  constructor(readonly ground: Ground, readonly options: NodeOptions) {
    const { id, leaf } = options;
    const { disk: _, store, clock } = this;
    this.processes = new Processes(ground.world, id, id);
    this.server = !leaf ? undefined : new Service(ground, `${id}.server`, id, clock, (process) => {
      linkWith(HUB, new NatsServer({ ...ground, process, name: id, port: PORT, store }), id);
    });
    this.service = new Service(ground, id, id, clock, (process) => {
      this.#run(process).catch((error) => ended(ground, this.service, error));
    });
  }

  get services(): Service[] {
    return this.server === undefined ? [this.service] : [this.server, this.service];
  }

  get id(): string {
    return this.options.id;
  }

  /** Asks the agent to end, as SIGTERM does. */
  terminate(): void {
    const { agent, ground: { world } } = this;
    const { process } = this.service;
    if (agent === undefined || !process.alive) return;
    world.note("is asked to end", process);
    world.after(0, process, () => {
      void agent[Symbol.asyncDispose]().then(() => {
        world.note("has ended");
        this.service.kill(1_000);
      });
    });
  }

  async #run(process: Process): Promise<void> {
    const { ground, options: { id, leaf, slots } } = this;
    const { world } = ground;
    process.onKilled.push(() => {
      this.agent = undefined;
      this.killedAt.push(world.now);
    });
    const bus = await openBus({
      servers: `nats://${leaf ? id : HUB}:${PORT}`,
      inboxPrefix: inboxPrefix(id),
      waitOnFirstConnect: true,
    });
    const settings = { bus, node: id, dir: "/", labels: {}, slots, hostname: id, log: log(ground, process) };
    const agent = await startAgentOn(this.#machine(process), {
      ...settings,
      ...(leaf ? { leaf: { project: PROJECT } } : {}),
    });
    this.agent = agent;
    world.note("takes commands");
    agent.failed.catch((error) => ended(ground, this.service, error));
  }

  #machine(process: Process): Machine {
    const { ground: { world }, disk, processes, options: { id, guarded } } = this;
    const random = new Random(world.seed, `${id}.${this.killedAt.length}`);
    const guard = guarded ? new SimulatedGuard(processes, process, () => random.between(0, 30)) : undefined;
    return {
      lock: () => Promise.resolve({ [Symbol.dispose]() {} }),
      openJournal: () => new SimulatedJournal({ world, process, disk, random }),
      openHost: () =>
        Promise.resolve({
          host: simulatedHost({ processes, agent: process, random, graceMs: GRACE_MS }),
          capabilities: new Map([[WORK.name, WORK]]),
          unavailable: [],
          guarded,
          ...(guard === undefined ? {} : { bound: (runs) => guard.bound(runs) }),
        }),
      endProcesses: (owned) => processes.endMarked(owned),
      startMetrics() {},
    };
  }
}

/** A hub and its nodes. */
export class SimulatedFleet {
  readonly hub: HubSite;
  readonly nodes: readonly NodeSite[];

  constructor(readonly ground: Ground, nodes: readonly NodeOptions[]) {
    this.hub = new HubSite(ground);
    this.nodes = nodes.map((options) => new NodeSite(ground, options));
  }

  get sites(): (HubSite | NodeSite)[] {
    return [this.hub, ...this.nodes];
  }

  /** All disks, or parts of one that are full by themselves. */
  get disks(): { full: boolean }[] {
    return [this.hub.store, ...this.nodes.flatMap(({ disk, store }) => [disk, store])];
  }

  start(): void {
    for (const site of this.sites) for (const service of site.services) service.start();
  }

  /** A machine stands still for a while, with all that runs on it. */
  standStill(site: HubSite | NodeSite, forMs: number): void {
    for (const service of site.services) service.stop(forMs);
    if (site instanceof NodeSite) this.ground.world.stop(site.processes.system, forMs);
  }

  /** A machine loses its power for a while. */
  powerLoss(site: HubSite | NodeSite, forMs: number): void {
    const { world, network } = this.ground;
    const host = site instanceof HubSite ? HUB : site.id;
    world.note(`power lost for ${Math.round(forMs)} ms`, new Process(host, host, site.clock));
    network.darken(host);
    for (const service of site.services) service.darken();
    if (site instanceof NodeSite) site.processes.darken();
    world.after(forMs, world.outside, () => {
      network.lighten(host);
      for (const service of site.services) service.start(world.random.between(100, 2_000));
    });
  }
}
