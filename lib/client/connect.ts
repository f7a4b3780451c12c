/** A connection to a fleet in few words: ask a verb of some nodes, get their results. */
import { XtaskError } from "../protocol/error.ts";
import type { NodeRecord } from "../protocol/node.ts";
import { isUnended, type Result } from "../protocol/run.ts";
import { connectFleet, type Fleet, type FleetOptions } from "./fleet.ts";
import type { MovingEvent } from "./follow_moving.ts";
import { placeOn } from "./place.ts";

/** Where and how a verb runs. */
export type RunOptions =
  & RunOptionsAnywhere
  & (
    | ({
      /** Which nodes: `all`, an id, or terms such as `os=linux,has=docker`. */
      readonly on: string;
    } & Keeping)
    | ({
      /** The best one of these nodes. */
      readonly any: string;
      readonly move?: false;
    } & Keeping)
    | {
      readonly any: string;
      /** Where that node is lost, the hub starts it on another one. It waits until one has room. */
      readonly move: true;
    }
  );

/** How long a run lives. */
export interface Keeping {
  /** It outlives its node's agent, and the next agent takes it over. @default {false} */
  readonly keep?: boolean;
}

/** How a verb runs, wherever that is. */
export interface RunOptionsAnywhere {
  /** The command's id; the same id runs once, however often it is asked. @default a new one */
  readonly id?: string;
  readonly deadline?: Date;
  /** Hears output and everything else, as it happens. */
  readonly onEvent?: (event: MovingEvent) => void;
  /** Stops following, and rejects; the runs go on. */
  readonly signal?: AbortSignal;
}

/** A connection to a fleet. Disposing it closes it. */
export interface Connection extends AsyncDisposable {
  /** The nodes that a selector means, those that are away included. */
  nodes(select?: string): Promise<NodeRecord[]>;
  /**
   * Asks a verb (`task.run`) of every node that `on` selects, or of the best one that `any` does, and resolves to their results
   * when all have ended.
   *
   * @throws {XtaskError} `not_found` where no node matches, and the first refusal where a node does not take the command; of
   * one that may move, why it ended on no node
   */
  run(verb: `${string}.${string}`, input: unknown, options: RunOptions): Promise<Result[]>;
}

/**
 * Connects to a fleet.
 *
 * @throws {XtaskError} `unavailable`, `unauthenticated`
 */
export async function connect(options: FleetOptions): Promise<Connection> {
  const fleet = await connectFleet(options);
  return {
    nodes: (select) => fleet.nodes(select),
    async run(name, input, options) {
      const { id, deadline, onEvent, signal } = options;
      const [capability = "", verb = ""] = name.split(".");
      const what = {
        ...{ capability, verb, input },
        ...(id === undefined ? {} : { id }),
        ...(deadline === undefined ? {} : { deadline }),
      };
      if ("move" in options && options.move) return [await runMoving(fleet, { ...what, any: options.any }, options)];
      const nodes = "any" in options
        ? (await placeOn(fleet, capability, { any: options.any })).nodes
        : (await fleet.nodes(options.on)).filter(({ state }) => state !== "offline").map((node) => node.id);
      if (nodes.length === 0 && "on" in options) {
        throw new XtaskError("not_found", `No node that is there matches '${options.on}'`);
      }
      const asked = await fleet.ask({
        ...what,
        nodes,
        ...(options.keep ? { keep: true } : {}),
        ...(onEvent === undefined ? {} : { waitMs: 0 }),
      });
      const results: Result[] = [];
      const pending: string[] = [];
      for (const { node, reply, error } of asked.answers) {
        if (error !== undefined) throw error;
        if (reply === undefined || "error" in reply && reply.state === "refused") continue;
        if (isUnended(reply)) pending.push(node);
        else results.push(reply);
      }
      for await (const event of fleet.follow(asked.id, pending, signal)) {
        onEvent?.(event);
        if (event.type === "result") results.push(event.result);
      }
      signal?.throwIfAborted();
      return results;
    },
    [Symbol.asyncDispose]: () => fleet[Symbol.asyncDispose](),
  };
}

/** Has the hub place it, and resolves to the result that counts. */
async function runMoving(
  fleet: Fleet,
  asked: Parameters<Fleet["submit"]>[0],
  { onEvent, signal }: RunOptionsAnywhere,
): Promise<Result> {
  const { id } = await fleet.submit(asked);
  for await (const event of fleet.followMoving(id, signal)) {
    onEvent?.(event);
    if (event.type === "result") return event.result;
    if (event.type === "ended") throw event.error;
  }
  signal?.throwIfAborted();
  throw new XtaskError("internal", `${id} ended without a result`);
}
