/** What this node can do: the capabilities whose programs are here, and the tasks of its Taskfile. */
import type { Capability } from "../capability/define.ts";
import type { FixedFacts } from "../capability/messages.ts";
import type { Host } from "../capability/host.ts";
import { type CapabilityName, loadCapability } from "../capability/registry.ts";
import { resolveTools } from "../capability/tools.ts";
import { newCommandId } from "../protocol/id.ts";
import { TASKS_ADVERTISED_MAX } from "../protocol/limits.ts";
import type { NodeRecord } from "../protocol/node.ts";

/** What a capability may know of a node, apart from its own tools. */
export type CommonFacts = Omit<FixedFacts, "tools">;

/** A capability that this node could not offer, and why. */
export interface Unavailable {
  readonly name: string;
  readonly reason: string;
}

/** Options of {@linkcode takeInventory}. */
export interface InventoryOptions {
  /** Names of the capabilities that may be offered. */
  readonly allow: readonly CapabilityName[];
  readonly facts: CommonFacts;
  /** Executables that are not looked for on PATH. */
  readonly known: Readonly<Record<string, string>>;
}

/** The definitions whose programs are on this machine, each with the paths of its own tools. */
export async function findCapabilities({ allow, facts, known }: InventoryOptions): Promise<{
  readonly found: ReadonlyMap<string, { readonly capability: Capability; readonly facts: FixedFacts }>;
  readonly unavailable: readonly Unavailable[];
}> {
  const found = new Map<string, { capability: Capability; facts: FixedFacts }>();
  const unavailable: Unavailable[] = [];
  for (const name of allow) {
    const capability = await loadCapability(name);
    const { tools, missing } = resolveTools(capability, { env: facts.env, known });
    if (missing.length > 0) unavailable.push({ name, reason: `no ${missing.join(" and ")} on PATH` });
    else found.set(name, { capability, facts: { ...facts, tools } });
  }
  return { found, unavailable };
}

const READY_MS = 15_000;

/** Asks each capability that wants to be asked whether it would work here. */
export async function askReady(host: Host, capabilities: Iterable<Capability>): Promise<Unavailable[]> {
  const asked = [...capabilities].filter(({ ready }) => ready !== undefined);
  const answers = await Promise.all(asked.map(async (capability) => ({
    name: capability.name,
    reason: await host.ready(capability, AbortSignal.timeout(READY_MS)),
  })));
  return answers.flatMap(({ name, reason }) => reason === undefined ? [] : [{ name, reason }]);
}

/** The tasks that the node's Taskfile has, as `task.list` gives them; none where there is no Taskfile. */
export async function listTasks(host: Host, task: Capability): Promise<NodeRecord["tasks"]> {
  const { data, error } = await host.invoke({
    capability: task,
    verb: "list",
    input: {},
    command: newCommandId(),
    signal: AbortSignal.timeout(READY_MS),
    output: () => Promise.resolve(),
  });
  if (error !== undefined) return [];
  return (data as { tasks: NodeRecord["tasks"] }).tasks.slice(0, TASKS_ADVERTISED_MAX);
}
