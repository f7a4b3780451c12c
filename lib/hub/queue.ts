/**
 * Commands that wait for nodes that are away. Each is kept until its node has answered for it: asked again it is the same
 * command, which a node starts once. Past its deadline it is `expired` and given to nobody.
 */
import type { Bucket } from "../nats/bucket.ts";
import { pause } from "../os/pause.ts";
import type { By } from "../protocol/by.ts";
import type { Event } from "../protocol/event.ts";
import { XtaskError } from "../protocol/error.ts";
import { QUEUE_MS_DEFAULT, WAITING_MAX, WAITING_PER_NODE_MAX } from "../protocol/limits.ts";
import type { Queued, QueueInput, Waiting } from "../protocol/queue.ts";
import type * as v from "valibot";

/** What {@linkcode openQueue} needs. */
export interface QueueOptions {
  readonly bucket: Bucket<Waiting>;
  /** Gives a command to its node. Rejects with what the node says, or that it cannot be reached. */
  readonly give: (waiting: Waiting) => Promise<unknown>;
  /** Tells what happened to a command. */
  readonly tell: (event: Event) => Promise<void>;
  /** Whether the node takes commands now. */
  readonly isThere: (node: string) => boolean;
  readonly now: () => number;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

/** The commands that wait. */
export interface Queue {
  /** @throws {XtaskError} `exhausted` where too many wait already */
  add(input: v.InferOutput<typeof QueueInput>, by: By | undefined): Promise<Queued>;
  /** Takes one back. False where it does not wait, or is on its way to the node. */
  withdraw(id: string, node: string): Promise<boolean>;
  /** The node is there: what waits for it is given to it, in the order it was asked. */
  nodeIsThere(node: string): void;
  /** Ends what is past its deadline. */
  tick(): void;
  /** Resolves when nothing is on its way any more. */
  settled(): Promise<void>;
}

/** A node that has just come says so a moment before it takes commands. */
const AGAIN_MS = 250;
const ATTEMPTS = 4;

async function patiently(act: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      return void await act();
    } catch (error) {
      if (attempt === ATTEMPTS || XtaskError.from(error).code !== "unavailable") throw error;
    }
    await pause(AGAIN_MS);
  }
}

/** Opens the queue as the bucket has it. */
export async function openQueue({ bucket, give, tell, isThere, now, log }: QueueOptions): Promise<Queue> {
  const waiting = new Map([...await bucket.entries()].sort(([, a], [, b]) => a.askedAt < b.askedAt ? -1 : 1));
  const giving = new Map<string, Promise<void>>();
  const ending = new Set<Promise<unknown>>();
  const keyOf = ({ node, id }: Pick<Waiting, "node" | "id">) => `${node}.${id}`;
  const of = (node: string) => [...waiting.values()].filter((one) => one.node === node);
  const past = ({ deadline }: Waiting) => Date.parse(deadline) <= now();
  const drop = async (one: Waiting) => {
    waiting.delete(keyOf(one));
    await bucket.delete(keyOf(one));
  };
  const about = ({ id, node }: Waiting) => ({ at: new Date(now()).toISOString(), node, command: id, attempt: 1 });
  const end = async (one: Waiting, state: "expired" | "cancelled" | "refused", error: XtaskError) => {
    await tell({ type: "command_result", ...about(one), state, durationMs: 0, error: error.toWire() });
    await drop(one);
  };
  const expire = (one: Waiting) =>
    end(one, "expired", new XtaskError("timeout", `${one.node} was away until the deadline`));

  const giveAll = async (node: string) => {
    for (const one of of(node)) {
      try {
        if (past(one)) await expire(one);
        else {
          await patiently(() => give(one));
          log("info", `${one.node} has taken ${one.id}, which waited since ${one.askedAt}`);
          await drop(one);
        }
      } catch (thrown) {
        const error = XtaskError.from(thrown);
        // It is away again, has no room, or is drained: it is asked again when it says that it is there.
        if (["unavailable", "timeout", "exhausted"].includes(error.code)) return;
        await end(one, "refused", error);
      }
    }
  };
  const watched = (promise: Promise<unknown>, what: string) => {
    const settled: Promise<unknown> = promise
      .catch((error) => log("error", `${what}: ${(error as Error).message}`))
      .finally(() => ending.delete(settled));
    ending.add(settled);
  };

  const nodeIsThere = (node: string) => {
    if (giving.has(node) || of(node).length === 0) return;
    const given = giveAll(node).finally(() => giving.delete(node));
    giving.set(node, given);
    watched(given, `what waits for ${node}`);
  };

  return {
    async add({ id, nodes, capability, verb, input, deadline: asked }, by) {
      const full = nodes.find((node) => of(node).length >= WAITING_PER_NODE_MAX);
      if (full !== undefined || waiting.size + nodes.length > WAITING_MAX) {
        throw new XtaskError("exhausted", `Too many commands wait${full === undefined ? "" : ` for ${full}`} already`, {
          details: ["see them: xtask commands ls --state queued", "take some back: xtask commands cancel ID"],
        });
      }
      const deadline = asked ?? new Date(now() + QUEUE_MS_DEFAULT).toISOString();
      const askedAt = new Date(now()).toISOString();
      for (const node of nodes) {
        const one: Waiting = {
          id,
          node,
          capability,
          verb,
          input,
          askedAt,
          deadline,
          ...(by === undefined ? {} : { by }),
        };
        await bucket.put(keyOf(one), one);
        waiting.set(keyOf(one), one);
        await tell({ type: "command_queued", ...about(one), capability, verb, input, deadline, ...(by && { by }) });
      }
      for (const node of nodes) if (isThere(node)) nodeIsThere(node);
      return { id, nodes: [...nodes], deadline };
    },
    async withdraw(id, node) {
      const one = waiting.get(keyOf({ id, node }));
      if (one === undefined || giving.has(node)) return false;
      await end(one, "cancelled", new XtaskError("cancelled", "Taken back before the node had it"));
      return true;
    },
    nodeIsThere,
    tick() {
      for (const one of waiting.values()) {
        if (past(one) && !giving.has(one.node)) {
          // Once: telling may take longer than until the next look.
          giving.set(one.node, Promise.resolve());
          watched(expire(one).finally(() => giving.delete(one.node)), `the end of ${one.id}`);
        }
      }
    },
    async settled() {
      await Promise.all(ending);
    },
  };
}
