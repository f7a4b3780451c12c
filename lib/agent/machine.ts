/**
 * What an agent finds on its machine: a disk for its journal, capabilities and a host that runs them, processes. The agent is
 * started on a {@linkcode Machine}, so that the simulator can start the same agent on one whose disk and processes fail.
 */
import type { Capability } from "../capability/define.ts";
import { createHost, type Host } from "../capability/host.ts";
import type { CapabilityName } from "../capability/registry.ts";
import type { Guard } from "../os/guard.ts";
import { bootId } from "../os/started.ts";
import { lockFolder } from "../os/lock.ts";
import { type EndProcesses, endProcesses, markOf } from "../os/processes.ts";
import { KILL_GRACE_MS } from "../protocol/limits.ts";
import { platformHere } from "../protocol/platform.ts";
import { askReady, type CommonFacts, findCapabilities, type Unavailable } from "./inventory.ts";
import type { JournalPort } from "./journal.ts";
import { openJournal } from "./journal_repair.ts";
import { createKeeper, type Keeper } from "./keeper.ts";
import type { RunBound } from "./lease.ts";
import { startMetrics } from "./metrics.ts";

/** What an agent stands on. */
export interface Machine {
  /**
   * Keeps others from being this node's agent until it is disposed.
   *
   * @throws {XtaskError} `conflict` where there is one
   */
  lock(): Promise<Disposable>;
  /** Opens the journal; whoever asks closes it, and hears where it was damaged. */
  openJournal(onDamage: (message: string) => void): JournalPort & Disposable;
  /** Looks what can be offered here. */
  openHost(): Promise<Offer>;
  readonly endProcesses: EndProcesses;
  readonly startMetrics: typeof startMetrics;
}

/** What a machine can do. */
export interface Offer {
  /** Runs the capabilities; whoever asked ends it. */
  readonly host: Host;
  readonly capabilities: ReadonlyMap<string, Capability>;
  /** What it does not offer, and why. */
  readonly unavailable: readonly Unavailable[];
  /** Whether what runs have started ends with the agent, however that ends. */
  readonly guarded: boolean;
  /** Ends runs whose lease lapses while the agent stands still: see `Leases`. Undefined where nothing can. */
  readonly bound?: (bounds: readonly RunBound[]) => void;
  /** Starts runs that outlive the agent; undefined where that cannot be. */
  readonly keeper?: Keeper;
}

/** Options of {@linkcode machineHere}. */
export interface MachineOptions {
  readonly node: string;
  /** Where the journal is kept. */
  readonly home: string;
  /** The folder that the node offers; absolute. */
  readonly dir: string;
  readonly allow: readonly CapabilityName[];
  /** Executables that are not looked for on PATH. */
  readonly known: Readonly<Record<string, string>>;
  /** Environment of child processes. */
  readonly env: Readonly<Record<string, string>>;
  /** Processes that no command may end; asked anew for each command. */
  readonly protectedPids: () => readonly number[];
  /** Ends what runs have started where the agent is killed or stands still. It is not ended here. */
  readonly guard?: Guard | undefined;
  readonly now?: () => number;
}

/** The machine that this program runs on. */
export function machineHere(options: MachineOptions): Machine {
  const { node, home, dir, allow, known, env, protectedPids, guard, now = Date.now } = options;
  return {
    lock: () => lockFolder(home, "An agent"),
    openJournal: (onDamage) => openJournal(`${home}/journal.sqlite`, { now, onDamage }),
    async openHost() {
      await using stack = new AsyncDisposableStack();
      const common: CommonFacts = { id: node, platform: platformHere(), dir, env: { ...env, ...guard?.env } };
      const { found, unavailable } = await findCapabilities({ allow, facts: common, known });
      const host = stack.use(createHost({
        factsFor: ({ name }) => found.get(name)?.facts ?? { ...common, tools: {} },
        protectedPids,
        graceMs: KILL_GRACE_MS,
        ...(guard === undefined ? {} : { guard }),
      }));
      const unready = await askReady(host, [...found.values()].map(({ capability }) => capability));
      const capabilities = new Map(
        [...found].filter(([name]) => !unready.some((other) => other.name === name))
          .map(([name, { capability }]) => [name, capability]),
      );
      const owned = stack.move();
      return {
        host: { ...host, [Symbol.asyncDispose]: () => owned.disposeAsync() },
        capabilities,
        unavailable: [...unavailable, ...unready],
        guarded: guard !== undefined,
        ...(guard === undefined ? {} : {
          bound: (bounds) =>
            void guard.bound(bounds.map(({ id, askMs, killMs }) => ({ run: markOf(node, id), askMs, killMs }))),
          keeper: createKeeper({
            ...{ node, env, endProcesses, folder: `${home}/kept`, graceMs: KILL_GRACE_MS },
            boot: await bootId(),
            toolsOf: (name) => Object.values(found.get(name)?.facts.tools ?? {}),
          }),
        }),
      };
    },
    endProcesses,
    startMetrics: (options) => startMetrics({ ...options, folders: [...options.folders, home] }),
  };
}
