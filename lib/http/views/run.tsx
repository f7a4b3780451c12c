/** Running something from what there is, rather than from words. */
import type { Capability } from "../../capability/define.ts";
import { fieldsOf } from "../../capability/fields.ts";
import { CAPABILITY_NAMES, isCapabilityName, loadCapability } from "../../capability/registry.ts";
import { XtaskError } from "../../protocol/error.ts";
import type { NodeRecord } from "../../protocol/node.ts";
import { type Offered, offeredFrame, type OfferedTask, VerbForm } from "../../../ui/run.tsx";
import type { View } from "./view.ts";

/** All that can be run. */
export const run: View = {
  current: "run",
  async open(model) {
    const capabilities = await Promise.all(CAPABILITY_NAMES.map(loadCapability));
    return {
      title: "Run something",
      frames: () => {
        const there = [...model.nodes.values()].filter(({ state }) => state === "online" || state === "busy");
        return [offeredFrame(offeredTasks(there), offeredVerbs(capabilities, there), there.length)];
      },
    };
  },
};

/** The form of one verb. */
export const verb: View = {
  current: "run",
  async open(model, { capability: name = "", verb: asked = "", on = "", queue = "" }) {
    const capability = isCapabilityName(name) ? await loadCapability(name) : undefined;
    const found = capability !== undefined && Object.hasOwn(capability.verbs, asked)
      ? capability.verbs[asked]
      : undefined;
    if (found === undefined) {
      throw new XtaskError("not_found", "No node can do that", { details: ["see what they can do: /run"] });
    }
    const { summary, effect, input } = found;
    const nodes = [...model.nodes.keys()].sort();
    const form = { capability: name, verb: asked, summary, effect, on, queue: queue === "1", nodes };
    return { title: `${name} ${asked}`, head: <VerbForm {...form} fields={fieldsOf(input)} />, frames: () => [] };
  },
};

function offeredTasks(nodes: readonly NodeRecord[]): OfferedTask[] {
  const found = new Map<string, OfferedTask>();
  for (const { id, tasks } of nodes) {
    for (const { name, desc } of tasks) {
      const known = found.get(name);
      found.set(name, { name, desc: known?.desc || desc, nodes: [...known?.nodes ?? [], id] });
    }
  }
  return [...found.values()].sort((a, b) => a.name < b.name ? -1 : 1);
}

function offeredVerbs(capabilities: readonly Capability[], nodes: readonly NodeRecord[]): Offered[] {
  return capabilities.flatMap(({ name: capability, verbs }) => {
    const having = nodes.filter(({ capabilities }) => capabilities.some(({ name }) => name === capability)).length;
    return having === 0 ? [] : Object.entries(verbs).map(([verb, { summary, effect }]) => ({
      capability,
      verb,
      summary,
      effect,
      nodes: having,
    }));
  });
}
