/** Sees all that happens in a world, checks at once what can be, and keeps the account that the rest is checked on. */
import type { Report } from "../../lib/agent/journal.ts";
import { stateOf } from "../../lib/protocol/move.ts";
import type { Event } from "../../lib/protocol/event.ts";
import { HEADER, type Result } from "../../lib/protocol/run.ts";
import { isTerminal, type State } from "../../lib/protocol/state.ts";
import { lastToken, upOfOut } from "../../lib/protocol/subjects.ts";
import type { NodeSite, SimulatedFleet } from "./fleet.ts";
import {
  leftOf,
  outputOf,
  type OutputPiece,
  overlapsOf,
  resultsOf,
  startsOf,
  stepBackOf,
  type Told,
  unendedOf,
  type Violation,
  violation,
} from "./invariants.ts";
import type { Stored } from "./nats/stream.ts";
import { decode } from "./nats/wire.ts";
import { byteAt, type Execution } from "./ports/host.ts";

type Run = Omit<Told, "state">;

const keyOf = ({ command, node }: Run) => `${command}.${node}`;

/** A node that goes on again has ended what has lapsed within this: see protocol/lease.ts. */
const WAKING_MS = 3_000;

/** The witness of a fleet. */
export class Witness {
  /** What does not hold. */
  readonly violations: Violation[] = [];
  /** Runs whose asker was told that they were taken. */
  readonly acknowledged: Run[] = [];
  readonly #fleet: SimulatedFleet;
  readonly #executions: Execution[] = [];
  readonly #journalled: Told[] = [];
  readonly #results: Told[] = [];
  readonly #output = new Map<string, OutputPiece[]>();
  /** What `XTASK_UP` has, and what the nodes' own stores ever had. */
  readonly #up = new Set<string>();
  readonly #states = new Map<string, State>();
  /** What the hub told last of each node's coming and going. */
  readonly #presence = new Map<string, string>();
  /** When the hub had the result of a run. */
  readonly #resultsAt = new Map<string, number>();

  constructor(fleet: SimulatedFleet) {
    this.#fleet = fleet;
    fleet.hub.store.onStored = (stream, stored) => this.#atHub(stream, stored);
    for (const node of fleet.nodes) this.#watch(node);
  }

  /** Looks at what the hub says of runs. */
  look(): void {
    const { hub } = this.#fleet.hub;
    if (hub === undefined || !hub.ready) return;
    for (const { id, runs } of hub.commands.list({ limit: 500 })) {
      for (const [node, { state, attempt }] of Object.entries(runs)) {
        const run = { command: id, node: `${node}, attempt ${attempt}` };
        this.#found(stepBackOf({ ...run, state }, this.#states.get(keyOf(run))));
        this.#states.set(keyOf(run), state);
      }
    }
  }

  /** What is still to come, in words; empty where all is at rest. */
  get unsettled(): string[] {
    const { hub: { hub }, nodes } = this.#fleet;
    if (hub === undefined || !hub.ready) return ["the hub does not answer"];
    const open = this.acknowledged.filter((run) => {
      const state = this.#stateOf(run.command, run.node);
      return state === undefined || !isTerminal(state);
    });
    const attemptOf = (run: Told) => `${keyOf(run)}.${run.attempt}`;
    const results = new Set(this.#results.map(attemptOf));
    return [
      ...open.map((run) => `${keyOf(run)} has not ended`),
      ...this.#journalled.filter((run) => !results.has(attemptOf(run))).map((run) =>
        `the result of ${keyOf(run)} is underway`
      ),
      ...nodes.flatMap(({ id, disk, processes, agent }) => [
        ...(disk.reports.size > 0 ? [`${id} keeps ${disk.reports.size} reports`] : []),
        ...(processes.alive.length > 0 ? [`${processes.alive.length} processes live on ${id}`] : []),
        ...(agent === undefined ? [`the agent of ${id} is not there`] : []),
        ...(agent !== undefined && agent.record.running.length > 0
          ? [`${id} runs ${agent.record.running.join(" ")}`]
          : []),
        ...(hub.fleet.get(id)?.state !== "online" ? [`to the hub ${id} is ${hub.fleet.get(id)?.state}`] : []),
        ...(this.#presence.get(id) !== "node_joined" ? [`nobody was told that ${id} is there`] : []),
      ]),
    ];
  }

  /** Checks what must hold at the end. */
  account(): void {
    this.look();
    this.#found(unendedOf(this.acknowledged, (command, node) => this.#stateOf(command, node)));
    for (const { id } of this.#fleet.nodes) {
      const said = this.#fleet.hub.hub?.fleet.get(id)?.state === "offline" ? "node_left" : "node_joined";
      const told = this.#presence.get(id);
      if (told !== said) {
        this.#found([violation("told", `of ${id} ${told} is told last, and to the hub it is ${said}`)]);
      }
    }
    this.#found(resultsOf(this.#journalled, this.#results, (...run) => this.#runState(...run)));
    for (const execution of this.#executions) {
      const { command, node, attempt } = execution;
      const pieces = this.#output.get(`${keyOf(execution)}.${attempt}`) ?? [];
      this.#found(outputOf({
        ...{ command, node, pieces },
        byteAt: (offset) => byteAt(command, offset),
        written: this.#agentDiedDuring(execution) ? undefined : execution.taken,
      }));
    }
  }

  #found(violations: readonly Violation[]): void {
    for (const one of violations) {
      this.violations.push(one);
      const { world } = this.#fleet.ground;
      world.note(`VIOLATION of ${one.invariant}: ${one.text}`, world.outside);
      world.end();
    }
  }

  /** What the hub says of a run; of a command that may move, what it says of the whole. */
  #stateOf(command: string, node: string): State | undefined {
    const record = this.#fleet.hub.hub?.commands.get(command);
    if (record?.move !== undefined) return stateOf(record);
    return record?.runs[node]?.state;
  }

  /** What the hub says of an attempt, unless it says more of a later one. */
  #runState(command: string, node: string, attempt: number): State | undefined {
    const run = this.#fleet.hub.hub?.commands.get(command)?.runs[node];
    return run?.attempt === attempt ? run.state : undefined;
  }

  #watch(node: NodeSite): void {
    const { id, disk, processes, store, options: { leaf } } = node;
    const { world } = this.#fleet.ground;
    /** What the node's own store ever had. */
    const own = new Set<string>();
    store.onStored = (stream, stored) => {
      if (stream === "OUT") own.add(factOf(upOfOut(stored.subject), stored));
    };
    store.onPurge = (stream, messages) => {
      if (stream !== "OUT") return;
      for (const stored of messages) {
        this.#mustHave(this.#up, factOf(upOfOut(stored.subject), stored), id, "its own store");
      }
    };
    disk.onDropped = (reports) => {
      for (const report of reports) {
        this.#mustHave(leaf ? own : this.#up, factOf(report.subject, report), id, "its journal");
      }
    };
    disk.onFinished = ({ id: command, attempt, state }) => {
      this.#journalled.push({ command, node: id, attempt, state });
      this.#found(leftOf({ command, node: id }, processes.executions));
    };
    processes.onStarted = (execution) => {
      world.note(`process of ${execution.command} starts`, processes.system);
      this.#executions.push(execution);
      const same = this.#executions.filter(({ command }) => command === execution.command);
      this.#found([
        ...startsOf(same),
        ...overlapsOf(same.filter((one) => one === execution || !this.#standsStill(one))),
      ]);
    };
    processes.onEnded = ({ command }) => world.note(`process of ${command} ends`, processes.system);
  }

  /**
   * Whether nobody on a machine could end what runs there: it stands still, or its agent was stopped and has no guard, or was
   * until a moment ago. Then a lease cannot keep its promise; whoever changes something elsewhere is told the epoch, to refuse
   * the older one.
   */
  #standsStill({ node }: Execution): boolean {
    const site = this.#fleet.nodes.find(({ id }) => id === node);
    const agentUntil = site?.options.guarded ? 0 : site?.service.process.stoppedUntil ?? 0;
    const until = Math.max(agentUntil, site?.processes.system.stoppedUntil ?? 0);
    return until > this.#fleet.ground.world.now - WAKING_MS;
  }

  /** A fact may be let go of only when the next one on its way has it. */
  #mustHave(next: ReadonlySet<string>, fact: string, node: string, from: string): void {
    if (!next.has(fact)) this.#found([violation("I4", `${node} let go of a report in ${from}: ${fact.slice(0, 200)}`)]);
  }

  #atHub(stream: string, stored: Stored): void {
    const [, , node = ""] = stored.subject.split(".");
    switch (stream) {
      case "XTASK_UP": {
        const fact = factOf(stored.subject, stored);
        if (this.#up.has(fact) && told(stored.subject)) {
          this.#found([violation("I4", `stored twice: ${fact.slice(0, 200)}`)]);
        }
        this.#up.add(fact);
        const type = lastToken(stored.subject);
        if (type === "node_joined" || type === "node_left") {
          this.#presence.set((JSON.parse(decode(stored.data)) as Event).node, type);
        }
        return;
      }
      case "XTASK_RESULTS": {
        const { id, node, attempt, state } = JSON.parse(decode(stored.data)) as Result;
        this.#results.push({ command: id, node, attempt, state });
        this.#resultsAt.set(`${id}.${node}.${attempt}`, this.#fleet.ground.world.now);
        return;
      }
      case "XTASK_LOGS": {
        const command = lastToken(stored.subject);
        if (command === node) return;
        const number = (name: string) => stored.headers[name] === undefined ? undefined : Number(stored.headers[name]);
        const key = `${keyOf({ command, node })}.${number(HEADER.attempt)}`;
        const pieces = this.#output.get(key) ?? [];
        this.#output.set(key, pieces);
        pieces.push({
          offset: number(HEADER.logOffset) ?? 0,
          gap: number(HEADER.logGap) ?? 0,
          bytes: stored.data,
          end: number(HEADER.logEnd),
        });
        return;
      }
    }
  }

  /** Whether what an agent had in memory of a run's output may have gone with it. */
  #agentDiedDuring({ node, startedAt, command, attempt }: Execution): boolean {
    const site = this.#fleet.nodes.find(({ id }) => id === node);
    const result = this.#resultsAt.get(`${command}.${node}.${attempt}`) ?? Infinity;
    return site?.killedAt.some((at) => at >= startedAt && at <= result) ?? false;
  }
}

/** What a message says, whatever number it has where it is stored. */
function factOf(
  subject: string,
  { headers, data, payload }: Partial<Stored & Report> & Pick<Report, "headers">,
): string {
  const place = `${headers[HEADER.attempt] ?? ""} ${headers[HEADER.logOffset] ?? ""}`;
  return `${subject} ${place} ${decode(data ?? payload ?? new Uint8Array())}`;
}

/** Whether no two facts of such a subject say the same. */
function told(subject: string): boolean {
  return /^xtask\.up\.(?!hub\.)[^.]+\.(results|logs|events\.command_)/.test(subject);
}
