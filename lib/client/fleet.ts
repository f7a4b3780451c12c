/** The fleet as a program sees it: which nodes there are, and commands asked of them. What `mod.ts` and the CLI stand on. */
import { type Bus, openBus, type RequestOptions } from "../nats/bus.ts";
import type { ConnectOptions } from "../nats/connect.ts";
import { XtaskError } from "../protocol/error.ts";
import { isId, newCommandId } from "../protocol/id.ts";
import { NodeRecord } from "../protocol/node.ts";
import { parseJson, type Schema } from "../protocol/parse.ts";
import { Queued } from "../protocol/queue.ts";
import { Submitted } from "../protocol/moving.ts";
import { CommandRecord, HEADER, Reply } from "../protocol/run.ts";
import { selectsOneNode } from "../protocol/selector.ts";
import { commandSubject, DISCOVER, hubSubject } from "../protocol/subjects.ts";
import { follow, type FollowEvent } from "./follow.ts";
import { followMoving, type MovingEvent } from "./follow_moving.ts";
import { listedNodes } from "./listed_nodes.ts";
import { silentNode } from "./silent_node.ts";

/** Where to connect, and as whom. */
export type FleetOptions = ConnectOptions;

/** What is asked. */
export interface Ask {
  readonly capability: string;
  readonly verb: string;
  readonly input: unknown;
  /** Ids of the nodes that are asked. */
  readonly nodes: readonly string[];
  /** @default a new one */
  readonly id?: string;
  readonly deadline?: Date;
  /** Its runs may outlive their agents. */
  readonly keep?: boolean;
  /** How long each node holds its answer back for a result, in ms. */
  readonly waitMs?: number;
}

/** How one node answered. */
export interface Answer {
  readonly node: string;
  readonly reply?: Reply;
  /** It was not taken, or the node could not be reached. */
  readonly error?: XtaskError;
}

/** A command that was asked. */
export interface Asked {
  readonly id: string;
  readonly answers: readonly Answer[];
}

/** A connection to a fleet. */
export interface Fleet extends AsyncDisposable {
  readonly bus: Bus;
  /**
   * The nodes that a selector means, those that are away included.
   *
   * @throws {XtaskError} `invalid` for a selector that cannot be read, `unavailable` where neither hub nor nodes answer
   */
  nodes(select?: string): Promise<NodeRecord[]>;
  /** Asks each node, and resolves when all have answered or cannot. */
  ask(ask: Ask): Promise<Asked>;
  /**
   * Leaves a command at the hub for nodes that are away: each is given it when it is back.
   *
   * @throws {XtaskError} `invalid`, `exhausted` where too many wait already, `unavailable`
   */
  queue(ask: Omit<Ask, "waitMs">): Promise<Queued>;
  /**
   * Has the hub run a command on the best node that a selector means, and on another one where that is lost.
   *
   * @throws {XtaskError} `invalid`, `conflict` for an id that meant something else, `exhausted`, `unavailable`
   */
  submit(ask: Omit<Ask, "waitMs" | "keep" | "nodes"> & { readonly any: string }): Promise<Submitted>;
  /** What happens to a command that was submitted, until it has ended. */
  followMoving(id: string, signal?: AbortSignal): AsyncIterable<MovingEvent>;
  /** What happens to a command, until every node's run has ended and all its output has come. */
  follow(id: string, nodes: readonly string[], signal?: AbortSignal): AsyncIterable<FollowEvent>;
  /** Asks the hub. */
  hub<T>(noun: string, verb: string, input: unknown, schema: Schema<T>, options?: RequestOptions): Promise<T>;
}

/** Without a hub the nodes are asked themselves, and nobody says how many there are. */
const DISCOVER_MS = 1_000;
/** Beyond what a node may hold its answer back. */
const REQUEST_SLACK_MS = 5_000;
const READ_WAIT_MS = 4_000;

/**
 * Connects to a fleet.
 *
 * @throws {XtaskError} `unavailable`, `unauthenticated`
 */
export async function connectFleet(options: FleetOptions): Promise<Fleet> {
  const bus = await openBus(options);
  const hub: Fleet["hub"] = async (noun, verb, input, schema, requestOptions) => {
    const answer = await bus.request(hubSubject(noun, verb, bus.user), JSON.stringify(input), requestOptions);
    return parseJson(schema, answer.text(), `hub's answer to ${noun}.${verb}`);
  };
  const fleet: Fleet = {
    bus,
    hub,
    async nodes(select = "all") {
      try {
        return await listedNodes(hub, select, NodeRecord);
      } catch (error) {
        const { code } = XtaskError.from(error);
        // A hub that stands still is asked, and does not answer.
        if (code !== "unavailable" && code !== "timeout") throw error;
        const found = await discover(bus, select);
        if (found.length > 0) return found;
        throw new XtaskError("unavailable", "The NATS server answers, but no hub does, and no node that is meant", {
          details: ["is the hub's process up? start it again: xtask up"],
          cause: error,
        });
      }
    },
    async ask({ nodes, id = newCommandId(), ...ask }) {
      return { id, answers: await Promise.all(nodes.map((node) => askNode(fleet, node, id, ask))) };
    },
    queue: ({ id = newCommandId(), deadline, ...ask }) =>
      hub("command", "queue", { id, ...ask, ...(deadline && { deadline: deadline.toISOString() }) }, Queued),
    submit: ({ id = newCommandId(), deadline, ...ask }) =>
      hub(
        "command",
        "submit",
        { id, ...ask, move: true, ...(deadline && { deadline: deadline.toISOString() }) },
        Submitted,
      ),
    followMoving: (id, signal) =>
      followMoving(bus, { id, show: () => hub("command", "show", { id }, CommandRecord) }, signal),
    follow: (id, nodes, signal) => follow(bus, id, nodes, signal),
    [Symbol.asyncDispose]: () => bus[Symbol.asyncDispose](),
  };
  return fleet;
}

async function askNode(fleet: Fleet, node: string, id: string, ask: Omit<Ask, "nodes" | "id">): Promise<Answer> {
  const { bus } = fleet;
  const { capability, verb, input, deadline, keep = false, waitMs = READ_WAIT_MS } = ask;
  // A reserved word or a wildcard would be another subject than the node's.
  if (!isId(node)) return { node, error: new XtaskError("invalid", `'${node}' cannot be the id of a node`) };
  try {
    const answer = await bus.request(commandSubject(node, capability, verb, bus.user), JSON.stringify(input ?? {}), {
      timeoutMs: waitMs + REQUEST_SLACK_MS,
      headers: {
        [HEADER.commandId]: id,
        [HEADER.wait]: String(waitMs),
        ...(deadline === undefined ? {} : { [HEADER.deadline]: deadline.toISOString() }),
        ...(keep ? { [HEADER.keep]: "true" } : {}),
      },
    });
    return { node, reply: parseJson(Reply, answer.text(), `answer of ${node}`) };
  } catch (thrown) {
    const error = XtaskError.from(thrown);
    if (error.code !== "unavailable" || error.details.length > 0) return { node, error };
    return { node, error: await silentNode(() => fleet.nodes(), node, thrown) };
  }
}

async function discover(bus: Bus, select: string): Promise<NodeRecord[]> {
  const found: NodeRecord[] = [];
  const one = selectsOneNode(select);
  const enough = new AbortController();
  const signal = AbortSignal.any([enough.signal, AbortSignal.timeout(DISCOVER_MS)]);
  for await (const message of bus.gather(DISCOVER, JSON.stringify({ select }), signal)) {
    found.push(parseJson(NodeRecord, message.text(), "node record"));
    if (one !== undefined) enough.abort();
  }
  return found.sort((a, b) => a.id < b.id ? -1 : 1);
}
