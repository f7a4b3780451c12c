/**
 * A host whose processes live in the world: they write, they take a while, they may not want to end, and they may outlive the
 * agent that started them.
 */
import * as v from "valibot";
import type { RunBound } from "../../../lib/agent/lease.ts";
import { type Capability, defineCapability, verb } from "../../../lib/capability/define.ts";
import type { Host, Invocation, Outcome } from "../../../lib/capability/host.ts";
import { markOf, type Owned } from "../../../lib/os/processes.ts";
import { XtaskError } from "../../../lib/protocol/error.ts";
import type { Random } from "../world/random.ts";
import { Process, type World } from "../world/world.ts";

/** What a simulated command does. */
export const Work = v.object({
  /** How long it takes. */
  ms: v.number(),
  /** What it writes meanwhile. */
  bytes: v.number(),
  exitCode: v.number(),
  /** How long it goes on when it is told to end. */
  stubbornMs: v.number(),
});
/** What a simulated command does. */
export type Work = v.InferOutput<typeof Work>;

const run = () => Promise.reject(new TypeError("The world's host runs nothing itself"));

/** The one capability of simulated nodes. */
export const WORK: Capability = defineCapability({
  name: "work",
  summary: "Work",
  permissions: () => ({}),
  verbs: { do: verb({ summary: "Do it", effect: "change", input: Work, output: v.object({}), run }) },
});

/** A process of a run. */
export interface Execution {
  readonly command: string;
  readonly attempt: number;
  readonly node: string;
  readonly startedAt: number;
  endedAt: number | undefined;
  /** Bytes that the agent has taken. */
  taken: number;
  /** How long it goes on when it is told to end. */
  readonly stubbornMs: number;
  /** Whoever waits for its end. */
  onEnded: () => void;
}

/** The byte of a command's output at a place: so that whoever reads it knows what has to stand there. */
export function byteAt(command: string, offset: number): number {
  return (command.charCodeAt(command.length - 1) * 31 + offset * 7 + (offset >> 8)) & 0xff;
}

/** The processes of one machine. */
export class Processes {
  readonly world: World;
  readonly node: string;
  readonly executions: Execution[] = [];
  onStarted: (execution: Execution) => void = () => {};
  onEnded: (execution: Execution) => void = () => {};
  /** What the system does for them; it goes with the machine's power. */
  #system: Process;
  readonly #host: string;

  constructor(world: World, node: string, host: string) {
    [this.world, this.node, this.#host] = [world, node, host];
    this.#system = this.#boot();
  }

  get system(): Process {
    return this.#system;
  }

  #boot(): Process {
    return new Process(`${this.node}.tasks`, this.#host, { offsetMs: 0 });
  }

  get alive(): Execution[] {
    return this.executions.filter(({ endedAt }) => endedAt === undefined);
  }

  start(
    command: string,
    { attempt = 1, stubbornMs = 0 }: { attempt?: number | undefined; stubbornMs?: number } = {},
  ): Execution {
    const execution: Execution = {
      command,
      attempt,
      node: this.node,
      startedAt: this.world.now,
      endedAt: undefined,
      taken: 0,
      stubbornMs,
      onEnded: () => {},
    };
    this.executions.push(execution);
    this.onStarted(execution);
    return execution;
  }

  end(execution: Execution): void {
    if (execution.endedAt !== undefined) return;
    execution.endedAt = this.world.now;
    this.onEnded(execution);
    execution.onEnded();
  }

  /** The machine loses its power. */
  darken(): void {
    this.world.kill(this.#system);
    for (const execution of this.alive) this.end(execution);
    this.#system = this.#boot();
  }

  /** Ends what carries a mark, as {@linkcode endProcesses} does it. */
  async endMarked({ mark }: Owned): Promise<number[]> {
    const found = this.alive.filter(({ command }) => markOf(this.node, command) === mark);
    if (found.length === 0) return [];
    await new Promise<void>((resolve) => setTimeout(resolve, 20));
    for (const execution of found) this.end(execution);
    return [];
  }
}

/** What ends the runs of an agent that is killed or stands still: it is a process of its own. */
export class SimulatedGuard {
  readonly #processes: Processes;
  readonly #node: string;
  #bounds = 0;

  constructor(processes: Processes, agent: Process, endMs: () => number) {
    [this.#processes, this.#node] = [processes, processes.node];
    agent.onKilled.push(() => {
      const left = processes.alive;
      this.#after(endMs(), () => left.forEach((one) => processes.end(one)));
    });
  }

  /** See {@linkcode Guard.bound}. */
  bound(runs: readonly RunBound[]): void {
    const told = ++this.#bounds;
    for (const { id, askMs, killMs } of runs) {
      const each = (act: (execution: Execution) => void) => () => {
        if (told !== this.#bounds) return;
        for (const one of this.#processes.alive) {
          if (markOf(this.#node, one.command) === markOf(this.#node, id)) act(one);
        }
      };
      this.#after(askMs, each((one) => this.#after(one.stubbornMs, () => this.#processes.end(one))));
      this.#after(killMs, each((one) => this.#processes.end(one)));
    }
  }

  #after(ms: number, act: () => void): void {
    this.#processes.world.after(Math.max(0, ms), this.#processes.system, act);
  }
}

const SPAWN_MS = 15;
const PIECE_BYTES = 4 * 1024;

/** Options of {@linkcode simulatedHost}. */
export interface SimulatedHostOptions {
  readonly processes: Processes;
  /** The agent's. */
  readonly agent: Process;
  readonly random: Random;
  readonly graceMs: number;
}

/** The host of one agent. */
export function simulatedHost({ processes, agent, random, graceMs }: SimulatedHostOptions): Host {
  const { world } = processes;
  return {
    async invoke({ input, command, attempt, signal, kill, output, onEnded }: Invocation): Promise<Outcome> {
      signal.throwIfAborted();
      const { ms, bytes: total, exitCode, stubbornMs } = input as Work;
      await new Promise<void>((resolve) => setTimeout(resolve, random.around(SPAWN_MS)));
      if (signal.aborted) return { error: XtaskError.from(signal.reason).toWire() };
      const execution = processes.start(command, { attempt, stubbornMs });
      const ended = Promise.withResolvers<void>();
      // Whoever waits for it learns of it in its own time.
      execution.onEnded = () => void world.after(0, agent, () => ended.resolve());
      const end = () => processes.end(execution);
      world.after(ms, processes.system, end);
      signal.addEventListener("abort", () => {
        world.after(Math.min(stubbornMs, graceMs), processes.system, end);
      }, { once: true });
      kill?.addEventListener("abort", () => world.after(1, processes.system, end), { once: true });
      const pieces = Math.ceil(total / PIECE_BYTES);
      for (let piece = 0; piece < pieces && execution.endedAt === undefined; piece++) {
        const length = Math.min(PIECE_BYTES, total - execution.taken);
        const from = execution.taken;
        execution.taken += length;
        const bytes = new Uint8Array(length);
        for (let index = 0; index < length; index++) bytes[index] = byteAt(command, from + index);
        await output("out", bytes);
        const { promise: next, resolve } = Promise.withResolvers<void>();
        setTimeout(resolve, random.around(ms / pieces));
        await Promise.race([next, ended.promise]);
      }
      await ended.promise;
      onEnded?.();
      if (signal.aborted) return { error: XtaskError.from(signal.reason).toWire() };
      return { exitCode, data: {} };
    },
    ready: () => Promise.resolve(undefined),
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
