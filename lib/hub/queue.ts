/**
 * Commands that wait for nodes that are away. Each is kept until its node has answered for it: asked again it is the same
 * command, which a node starts once. Past its deadline it is `expired` and given to nobody.
 *
 * A command may have reached its node though no answer came. From then on the node alone knows what becomes of it: it is
 * neither taken back here nor expired, but asked of the node again, which knows the deadline too.
 */
import type { Bucket } from "../nats/bucket.ts";
import { wasNotTaken } from "../nats/error.ts";
import { pause } from "../os/pause.ts";
import type { By } from "../protocol/by.ts";
import type { Event } from "../protocol/event.ts";
import { XtaskError } from "../protocol/error.ts";
import { QUEUE_MS_DEFAULT, WAITING_MAX, WAITING_PER_NODE_MAX } from "../protocol/limits.ts";
import type { Queued, QueueInput, Waiting } from "../protocol/queue.ts";
import type { State } from "../protocol/state.ts";
import type * as v from "valibot";

/** What {@linkcode openQueue} needs. */
export interface QueueOptions {
  readonly bucket: Bucket<Waiting>;
  /** Gives a command to its node. Rejects with what the node says, or that it cannot be reached. */
  readonly give: (waiting: Waiting) => Promise<unknown>;
  /** Tells what happened to a command. */
  readonly tell: (event: Event) => Promise<void>;
  /** The state of a command's run on a node, as far as the hub has been told. */
  readonly stateOf: (id: string, node: string) => Promise<State | undefined>;
  /** The nodes that take commands now. */
  readonly there: () => readonly string[];
  readonly now: () => number;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
}

/** The commands that wait. */
export interface Queue {
  /**
   * Keeps a command for nodes. Asked again it is the same command, whatever has become of it since.
   *
   * @throws {XtaskError} `exhausted` where too many wait already, `conflict` where the id waits as another command
   */
  add(input: v.InferOutput<typeof QueueInput>, by: By | undefined): Promise<Queued>;
  /** Takes one back. False where it does not wait, or may have reached the node. */
  withdraw(id: string, node: string): Promise<boolean>;
  /** From now on commands are given and ended: what had been told of them before is all known. */
  begin(): void;
  /** The node is there: what waits for it is given to it, in the order it was asked. */
  nodeIsThere(node: string): void;
  /** Ends what is past its deadline. */
  tick(): void;
  /** Resolves when nothing is on its way any more. */
  settled(): Promise<void>;
}

/** In a cluster a node may be heard of a moment before its door is known at the server that is asked. */
const AGAIN_MS = 250;
const ATTEMPTS = 4;

/** Tries again what was surely not taken; where that is not sure it is for others to decide. */
async function patiently(act: () => Promise<unknown>): Promise<void> {
  for (let attempt = 1;; attempt++) {
    try {
      return void await act();
    } catch (thrown) {
      const error = XtaskError.from(thrown);
      if (attempt === ATTEMPTS || error.code !== "unavailable" || !wasNotTaken(error)) throw error;
    }
    await pause(AGAIN_MS);
  }
}

/** Opens the queue as the bucket has it. */
export async function openQueue(options: QueueOptions): Promise<Queue> {
  const { bucket, give, tell, stateOf, there, now, log } = options;
  const waiting = new Map([...await bucket.entries()].sort(([, a], [, b]) => a.askedAt < b.askedAt ? -1 : 1));
  let begun = false;
  /** By node, what is on its way to it. */
  const giving = new Map<string, Promise<void>>();
  /** Keys of what is being kept or ended: one at a time. */
  const changing = new Map<string, Promise<unknown>>();
  const ending = new Set<Promise<unknown>>();
  const keyOf = ({ node, id }: Pick<Waiting, "node" | "id">) => `${node}.${id}`;
  const of = (node: string) => [...waiting.values()].filter((one) => one.node === node);
  const past = ({ deadline }: Waiting) => Date.parse(deadline) <= now();
  const alone = async <T>(key: string, act: () => Promise<T>): Promise<T> => {
    const before = changing.get(key) ?? Promise.resolve();
    const mine = before.then(act, act);
    changing.set(key, mine);
    try {
      return await mine;
    } finally {
      if (changing.get(key) === mine) changing.delete(key);
    }
  };
  const keep = async (one: Waiting) => {
    await bucket.put(keyOf(one), one);
    waiting.set(keyOf(one), one);
  };
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

  /** Gives one to its node. False where the node is asked again when it says that it is there. */
  const giveOne = async (one: Waiting): Promise<boolean> => {
    const state = await stateOf(one.id, one.node);
    if (state !== undefined && isOver(state)) {
      // Its end was told before the hub could forget it.
      await drop(one);
      return true;
    }
    if (past(one) && !one.tried) {
      await expire(one);
      return true;
    }
    const tried = { ...one, tried: true };
    if (!one.tried) await keep(tried);
    try {
      await patiently(() => give(tried));
      log("info", `${one.node} has taken ${one.id}, which waited since ${one.askedAt}`);
      await drop(tried);
      return true;
    } catch (thrown) {
      const error = XtaskError.from(thrown);
      // It is away again, has no room, or is drained.
      const later = ["unavailable", "timeout", "exhausted"].includes(error.code);
      if (!wasNotTaken(error)) return false;
      if (!one.tried) await keep(one);
      if (later) return false;
      await end(one, "refused", error);
      return true;
    }
  };
  const giveAll = async (node: string) => {
    for (const { id } of of(node)) {
      const key = keyOf({ id, node });
      const goOn = await alone(key, async () => {
        const one = waiting.get(key);
        return one === undefined || await giveOne(one);
      });
      if (!goOn) return;
    }
  };
  const watched = (promise: Promise<unknown>, what: string) => {
    const settled: Promise<unknown> = promise
      .catch((error) => log("error", `${what}: ${(error as Error).message}`))
      .finally(() => ending.delete(settled));
    ending.add(settled);
  };

  const nodeIsThere = (node: string) => {
    if (!begun || giving.has(node) || of(node).length === 0) return;
    const given = giveAll(node).finally(() => giving.delete(node));
    giving.set(node, given);
    watched(given, `what waits for ${node}`);
  };

  /** Keeps a command for a node, unless it is known already. */
  const addOne = async (one: Waiting) => {
    const known = waiting.get(keyOf(one));
    if (known !== undefined) {
      if (sameCommand(known, one)) return;
      throw new XtaskError("conflict", `Command id ${one.id} waits for ${one.node} as another command`, {
        details: [`it is ${known.capability}.${known.verb}; leave the id out to get a new one`],
      });
    }
    const state = await stateOf(one.id, one.node);
    if (state !== undefined && state !== "queued") return;
    // It was kept once and is not any more, so its node has it, and its word of that is under way.
    await keep(state === "queued" ? { ...one, tried: true } : one);
    const { capability, verb, input, deadline, by } = one;
    await tell({ type: "command_queued", ...about(one), capability, verb, input, deadline, ...(by && { by }) });
  };

  return {
    async add({ id, nodes, capability, verb, input, deadline: asked, keep: kept }, by) {
      const full = nodes.find((node) => of(node).length >= WAITING_PER_NODE_MAX);
      if (full !== undefined || waiting.size + nodes.length > WAITING_MAX) {
        throw new XtaskError("exhausted", `Too many commands wait${full === undefined ? "" : ` for ${full}`} already`, {
          details: ["see them: xtask commands ls --state queued", "take some back: xtask commands cancel ID"],
        });
      }
      const deadline = asked ?? new Date(now() + QUEUE_MS_DEFAULT).toISOString();
      const askedAt = new Date(now()).toISOString();
      for (const node of nodes) {
        const about = { capability, verb, input, askedAt, deadline };
        const one = { id, node, ...about, ...(by && { by }), ...(kept === undefined ? {} : { keep: kept }) };
        await alone(keyOf(one), () => addOne(one));
      }
      for (const node of there()) if (nodes.includes(node)) nodeIsThere(node);
      return { id, nodes: [...nodes], deadline };
    },
    async withdraw(id, node) {
      const key = keyOf({ id, node });
      return await alone(key, async () => {
        const one = waiting.get(key);
        if (one === undefined || one.tried) return false;
        await end(one, "cancelled", new XtaskError("cancelled", "Taken back before the node had it"));
        return true;
      });
    },
    begin() {
      if (begun) return;
      begun = true;
      for (const node of there()) nodeIsThere(node);
    },
    nodeIsThere,
    tick() {
      if (!begun) return;
      for (const waited of waiting.values()) {
        const key = keyOf(waited);
        if (!past(waited) || waited.tried || changing.has(key)) continue;
        const expired = alone(key, async () => {
          const one = waiting.get(key);
          if (one !== undefined && !one.tried) await expire(one);
        });
        watched(expired, `the end of ${waited.id}`);
      }
    },
    async settled() {
      await Promise.all(ending);
    },
  };
}

/** Whether a command has got beyond waiting, and its node need not be asked again. */
function isOver(state: State): boolean {
  return state !== "queued";
}

function sameCommand(a: Waiting, b: Waiting): boolean {
  return a.capability === b.capability && a.verb === b.verb && JSON.stringify(a.input) === JSON.stringify(b.input);
}
