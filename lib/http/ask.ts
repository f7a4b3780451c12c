/** Asks a command of the fleet for somebody who is not there to watch: it is answered when the nodes have taken it. */
import * as v from "valibot";
import { type Capability, wireForm } from "../capability/define.ts";
import type { Fleet } from "../client/fleet.ts";
import { placeOn } from "../client/place.ts";
import { pause } from "../os/pause.ts";
import { WireError, XtaskError } from "../protocol/error.ts";
import { newCommandId } from "../protocol/id.ts";
import { parse } from "../protocol/parse.ts";
import { stateOf } from "../protocol/move.ts";
import { CommandRecord, Result } from "../protocol/run.ts";
import { isTerminal, STATES } from "../protocol/state.ts";
import { assertPlacement } from "../words/placement.ts";

/** What is asked, and of whom. */
export interface Wish {
  readonly capability: Capability;
  readonly verb: string;
  readonly input: unknown;
  /** Every node that this selector means. */
  readonly on?: string | undefined;
  /** The best one of those that this selector means. */
  readonly any?: string | undefined;
  readonly id?: string | undefined;
  readonly deadline?: Date | undefined;
  /** Nodes that are away are given it when they are back. @default {false} */
  readonly queue?: boolean | undefined;
  /** Its runs may outlive their agents. @default {false} */
  readonly keep?: boolean | undefined;
  /** With `any`: on another node where that one is lost. @default {false} */
  readonly move?: boolean | undefined;
  /** How long each node holds its answer back for a result, in ms. @default {0} */
  readonly waitMs?: number;
}

/** What became of it. */
export const Taken = v.object({
  id: v.string(),
  /** The nodes that took it. */
  nodes: v.array(v.string()),
  /** Nodes that are meant and are not there. */
  offline: v.array(v.string()),
  /** Those of them that it waits for at the hub. */
  queued: v.array(v.string()),
  refused: v.array(v.object({ node: v.string(), error: WireError })),
  /** Where it may move: how it stands, and the node that has it. */
  moving: v.optional(v.object({ state: v.picklist(STATES), node: v.optional(v.string()), attempt: v.number() })),
  /** Of the runs that ended within the wait, where there was one. */
  results: v.optional(v.array(Result)),
});
/** What became of it. */
export type Taken = v.InferOutput<typeof Taken>;

/** The hub is behind the nodes by some milliseconds. Where it is by more, the answer is worth more than that it knows. */
const KNOWN_MS = 2_000;
const KNOWN_AGAIN_MS = 25;

/**
 * Asks. Resolves when every node has answered that it took the command or did not.
 *
 * @throws {XtaskError} `invalid` for input or words that the verb refuses, `not_found` where no node is meant, and the first
 * refusal where no node took it
 */
export async function askFor(fleet: Fleet, wish: Wish): Promise<Taken> {
  const { capability, verb, input, on, any, move = false, deadline, queue = false, keep = false, waitMs = 0 } = wish;
  const id = wish.id ?? newCommandId();
  const definition = Object.hasOwn(capability.verbs, verb) ? capability.verbs[verb] : undefined;
  if (definition === undefined) {
    throw new XtaskError("not_found", `${capability.name} has no verb '${verb}'`, {
      details: [`it has ${Object.keys(capability.verbs).join(", ")}`],
    });
  }
  assertPlacement(wish, definition.effect);
  parse(definition.input, input, `input of ${capability.name}.${verb}`);
  const asked = {
    capability: capability.name,
    ...wireForm(definition, verb, input),
    id,
    ...(deadline === undefined ? {} : { deadline }),
    ...(keep ? { keep } : {}),
  };
  if (move && any !== undefined) return await submitFor(fleet, { ...asked, any }, waitMs);
  const place = { ...wanted(await onlyNode(fleet, on, any), any), queue };
  const { nodes, offline } = await placeOn(fleet, capability.name, place);
  const queued = queue && offline.length > 0 ? (await fleet.queue({ ...asked, nodes: offline })).nodes : [];
  const { answers } = await fleet.ask({ ...asked, nodes, waitMs });
  const refused = answers.flatMap(({ node, error }) => error === undefined ? [] : [{ node, error }]);
  const [first] = refused;
  if (first !== undefined && refused.length === answers.length && queued.length === 0) throw first.error;
  const results = answers.flatMap(({ reply }) => reply !== undefined && "finishedAt" in reply ? [reply] : []);
  if (definition.effect === "change") await hubKnows(fleet, id, results);
  return {
    id,
    nodes: answers.flatMap(({ node, error }) => error === undefined ? [node] : []),
    offline: [...offline],
    queued: [...queued],
    refused: refused.map(({ node, error }) => ({ node, error: error.toWire() })),
    ...(waitMs === 0 ? {} : { results }),
  };
}

/** The hub hears of an end by a way of its own. Whoever is told of it here finds it ended when they ask further. */
async function hubKnows(fleet: Fleet, id: string, results: readonly Result[]): Promise<void> {
  const within = AbortSignal.timeout(KNOWN_MS);
  while (results.length > 0 && !within.aborted) {
    const record = await fleet.hub("command", "show", { id }, CommandRecord).catch(() => undefined);
    if (record === undefined) return;
    const { move, runs } = record;
    const state = ({ node }: Result) => Object.hasOwn(runs, node) ? runs[node]?.state : undefined;
    const known = results.every((result) => state(result) === result.state);
    if (known && (move === undefined || isTerminal(stateOf({ move, runs })))) return;
    await pause(KNOWN_AGAIN_MS, within);
  }
}

/** Has the hub place it. Waits for its outcome as long as is wanted. */
async function submitFor(fleet: Fleet, asked: Parameters<Fleet["submit"]>[0], waitMs: number): Promise<Taken> {
  const { id, state, node, attempt } = await fleet.submit(asked);
  const taken: Taken = { id, nodes: node === undefined ? [] : [node], offline: [], queued: [], refused: [] };
  const standing = (more: Taken["moving"]) => ({ ...taken, moving: more });
  if (waitMs === 0) return standing({ state, ...(node === undefined ? {} : { node }), attempt });
  let moving: NonNullable<Taken["moving"]> = { state, ...(node === undefined ? {} : { node }), attempt };
  const results: Result[] = [];
  for await (const event of fleet.followMoving(id, AbortSignal.timeout(waitMs))) {
    if (event.type === "placed") moving = { state: "accepted", node: event.node, attempt: event.attempt };
    else if (event.type === "moving") moving = { state: "queued", attempt: event.attempt };
    else if (event.type === "ended") moving = { ...moving, state: event.state };
    else if (event.type === "result") {
      results.push(event.result);
      moving = { ...moving, state: event.result.state };
    }
  }
  await hubKnows(fleet, id, results);
  return { ...standing(moving), nodes: moving.node === undefined ? [] : [moving.node], results };
}

/** Where nothing is said of where, a fleet of one node leaves no doubt. */
async function onlyNode(fleet: Fleet, on: string | undefined, any: string | undefined): Promise<string | undefined> {
  if (on !== undefined || any !== undefined) return on;
  const online = (await fleet.nodes()).filter(({ state }) => state !== "offline");
  if (online.length === 1) return online[0]?.id;
  throw new XtaskError("invalid", "Where shall it run?", {
    details: ["--on SELECTOR for every node that matches, such as --on all", "--any SELECTOR for the best one of them"],
  });
}

function wanted(on: string | undefined, any: string | undefined) {
  return { ...(on === undefined ? {} : { on }), ...(any === undefined ? {} : { any }) };
}
