/** A connection to a fleet in few words: ask a verb of some nodes, get their results. */
import { XtaskError } from "../protocol/error.ts";
import type { NodeRecord } from "../protocol/node.ts";
import { isUnended, type Result } from "../protocol/run.ts";
import { connectFleet, type FleetOptions } from "./fleet.ts";
import type { FollowEvent } from "./follow.ts";

/** Where and how a verb runs. */
export interface RunOptions {
  /** Which nodes: `all`, an id, or terms such as `os=linux,has=docker`. */
  readonly on: string;
  /** The command's id; the same id runs once, however often it is asked. @default a new one */
  readonly id?: string;
  readonly deadline?: Date;
  /** Hears output and everything else, as it happens. */
  readonly onEvent?: (event: FollowEvent) => void;
  /** Stops following, and rejects; the runs go on. */
  readonly signal?: AbortSignal;
}

/** A connection to a fleet. Disposing it closes it. */
export interface Connection extends AsyncDisposable {
  /** The nodes that a selector means, those that are away included. */
  nodes(select?: string): Promise<NodeRecord[]>;
  /**
   * Asks a verb (`task.run`) of every node that `on` selects, and resolves to their results when all have ended.
   *
   * @throws {XtaskError} `not_found` where no node matches, and the first refusal where a node does not take the command
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
    async run(name, input, { on, id, deadline, onEvent, signal }) {
      const [capability = "", verb = ""] = name.split(".");
      const nodes = (await fleet.nodes(on)).filter(({ state }) => state !== "offline").map((node) => node.id);
      if (nodes.length === 0) throw new XtaskError("not_found", `No node that is there matches '${on}'`);
      const asked = await fleet.ask({
        capability,
        verb,
        input,
        nodes,
        ...(id === undefined ? {} : { id }),
        ...(deadline === undefined ? {} : { deadline }),
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
