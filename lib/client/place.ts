/** Which nodes a command goes to. */
import { XtaskError } from "../protocol/error.ts";
import { best } from "../protocol/fitness.ts";
import type { NodeRecord } from "../protocol/node.ts";
import { selectsOneNode } from "../protocol/selector.ts";
import type { Fleet } from "./fleet.ts";

/** Where a command is wanted: on every node that `on` means, or on the best one that `any` means. */
export interface Wanted {
  readonly on?: string;
  readonly any?: string;
  /** Whether a node that is away may be meant alone. */
  readonly queue?: boolean;
}

/** Where it goes. */
export interface Placed {
  readonly nodes: readonly string[];
  /** Those that are meant and are not there. */
  readonly offline: readonly string[];
}

/**
 * Finds the nodes for a command of a capability.
 *
 * @throws {XtaskError} `not_found` where the selector means no node, `unavailable` where none that it means can take it now
 */
export async function placeOn(fleet: Fleet, capability: string, { on, any, queue = false }: Wanted): Promise<Placed> {
  // One id needs no looking up: the node itself answers, or nobody does.
  const one = on === undefined || queue ? undefined : selectsOneNode(on);
  if (one !== undefined) return { nodes: [one], offline: [] };
  const select = on ?? any ?? "all";
  const matching = await fleet.nodes(select);
  const able = matching.filter(({ capabilities }) => capabilities.some(({ name }) => name === capability));
  const here = able.filter(({ state }) => state !== "offline");
  const takes = any === undefined ? here : bestOf(here);
  if (takes.length > 0 || (queue && any === undefined && able.length > 0)) {
    return {
      nodes: takes.map(({ id }) => id),
      offline: able.filter((node) => !here.includes(node)).map(({ id }) => id),
    };
  }
  if (matching.length === 0) throw await noneMatch(fleet, select);
  throw new XtaskError("unavailable", `No node that '${select}' selects takes '${capability}' now`, {
    details: matching.map(({ id, state, capabilities }) =>
      `${id}: ${state}, offers ${capabilities.map(({ name }) => name).join(", ")}`
    ),
  });
}

function bestOf(nodes: readonly NodeRecord[]): NodeRecord[] {
  const found = best(nodes.filter(({ state }) => state !== "draining"));
  return found === undefined ? [] : [found];
}

/** What to say where a selector means no node: which nodes there are. */
export async function noneMatch(fleet: Fleet, select: string): Promise<XtaskError> {
  const ids = (await fleet.nodes()).map(({ id }) => id);
  return new XtaskError("not_found", `No node matches '${select}'`, {
    details: [ids.length === 0 ? "there are no nodes; add one: xtask auth invite" : `there are ${ids.join(", ")}`],
  });
}
