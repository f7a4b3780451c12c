/** The fleet, and one node of it. */
import { isId } from "../../protocol/id.ts";
import { XtaskError } from "../../protocol/error.ts";
import { parseSelector } from "../../protocol/selector.ts";
import { commandsFrame } from "../../../ui/commands.tsx";
import { fleetFrame, type FleetNode, type NodeRun } from "../../../ui/fleet.tsx";
import { agentLogFrame, nodeFrame, offersFrame, schedulesFrame } from "../../../ui/node.tsx";
import { FleetSearch } from "../../../ui/search.tsx";
import { topologyFrame } from "../../../ui/topology.tsx";
import { commandWords } from "../../../ui/parts.tsx";
import type { Model, ShownNode } from "../live/model.ts";
import { newestFirst, RECENT_MAX } from "./commands.tsx";
import type { Query, View } from "./view.ts";

/** Every node. */
export const fleet: View = {
  current: "fleet",
  open: (model, query) => ({
    title: "Fleet",
    head: <FleetSearch search={query.search ?? ""} select={query.select ?? ""} as={query.as ?? ""} />,
    frames: () => {
      const found = chosenNodes(model, query);
      return [query.as === "map" ? topologyFrame({ ...found, linked: model.linked }) : fleetFrame(found)];
    },
  }),
};

/** One node. */
export const node: View = {
  current: "fleet",
  open(model, { id = "" }) {
    const found = () => {
      const record = isId(id) ? model.nodes.get(id) : undefined;
      if (record !== undefined) return shownNode(record, model, leftAtHub(model).get(id) ?? []);
      throw new XtaskError("not_found", `There is no node '${id.slice(0, 63)}'`);
    };
    found();
    return {
      title: id,
      frames: () => {
        const node = found();
        const recent = newestFirst(model).filter(({ runs }) => Object.hasOwn(runs, id)).slice(0, RECENT_MAX);
        return [
          nodeFrame(node),
          schedulesFrame(node),
          offersFrame(node),
          commandsFrame("recent", recent, false, "What it did of late"),
          agentLogFrame(model.agentLogs.of(id)),
        ];
      },
    };
  },
};

function shownNode(record: ShownNode, { commands, samples }: Model, atHub: readonly string[]): FleetNode {
  const { id: node } = record;
  const worded = (id: string): NodeRun => {
    const command = commands.get(id);
    const words = command === undefined
      ? undefined
      : commandWords(command.capability, command.verb, command.input).slice(0, WORDS_MAX);
    return { id, words };
  };
  // A node tells of all that it has taken; some of it waits for a slot.
  const waitsHere = record.running.filter((id) => commands.get(id)?.runs[node]?.state === "accepted");
  return {
    record,
    runs: record.state === "offline" ? [] : record.running.filter((id) => !waitsHere.includes(id)).map(worded),
    waiting: [...new Set([...record.state === "offline" ? [] : waitsHere, ...atHub])].map(worded),
    samples: samples.get(node) ?? NONE,
  };
}

/** Always the same one, so that what is made of it is kept. */
const NONE: readonly never[] = [];

/** What waits at the hub, by node. */
function leftAtHub({ commands }: Model): ReadonlyMap<string, readonly string[]> {
  const left = [...commands.values()].flatMap(({ id, runs }) =>
    Object.entries(runs).filter(([, { state }]) => state === "queued").map(([node]) => ({ id, node }))
  );
  const byNode = Map.groupBy(left, ({ node }) => node);
  return new Map([...byNode].map(([node, all]) => [node, all.map(({ id }) => id)]));
}

/** Letters of a command on a node's card. */
const WORDS_MAX = 40;

/** Nodes that are searched for. */
export function chosenNodes(model: Model, { search = "", select = "" }: Query) {
  const { nodes } = model;
  const all = [...nodes.values()].sort((a, b) => a.id < b.id ? -1 : 1);
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== "");
  let matches = (_node: typeof all[number]) => true;
  let wrong: { wrong?: string } = {};
  try {
    if (select.trim() !== "") matches = parseSelector(select);
  } catch (error) {
    wrong = { wrong: XtaskError.from(error).message };
    matches = () => false;
  }
  const left = leftAtHub(model);
  const shown: FleetNode[] = all.filter(matches).filter((node) => {
    if (words.length === 0) return true;
    const text = [
      node.id,
      node.hostname,
      node.platform.os,
      node.platform.arch,
      node.state,
      ...Object.entries(node.labels).flat(),
      ...node.tasks.map(({ name }) => name),
    ].join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  }).map((record) => shownNode(record, model, left.get(record.id) ?? []));
  return { nodes: shown, total: all.length, ...wrong };
}
