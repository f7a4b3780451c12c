/** `xtask nodes`: the fleet. */
import { XtaskError } from "../../protocol/error.ts";
import { NodeRecord } from "../../protocol/node.ts";
import { parseJson } from "../../protocol/parse.ts";
import { statusSubject } from "../../protocol/subjects.ts";
import { type Control, controlNode } from "../../client/control.ts";
import { noneMatch } from "../../client/place.ts";
import { unknownNode } from "../../client/silent_node.ts";
import type { Shell } from "../shell.ts";
import { duration, stateStyle, styled, table } from "../terminal.ts";

/** Flags that all of these have. */
export interface FleetFlags {
  readonly json: boolean;
  readonly context?: string;
}

/** Lists the nodes that a selector means. */
export async function list(this: Shell, { json, context }: FleetFlags, select = "all"): Promise<void> {
  await using fleet = await this.connect(context);
  const nodes = await fleet.nodes(select);
  if (nodes.length === 0 && select !== "all") throw await noneMatch(fleet, select);
  if (json) return nodes.forEach((node) => this.print(JSON.stringify(node)));
  if (nodes.length === 0) return this.note("No nodes. Add this machine or another: xtask auth invite");
  const rows = nodes.map((node) => [
    node.id,
    styled(node.state, stateStyle(node.state), this.color),
    `${node.platform.os}/${node.platform.arch}`,
    `${node.slots.total - node.slots.free}/${node.slots.total}${node.queued > 0 ? ` +${node.queued}` : ""}`,
    (node.load.one / node.load.cores).toFixed(2),
    labelText(node.labels) || "-",
    node.capabilities.map(({ name }) => name).join(" "),
    duration(Date.now() - Date.parse(node.since)),
  ]);
  this.print(table(["NODE", "STATE", "PLATFORM", "RUNS", "LOAD", "LABELS", "OFFERS", "SINCE"], rows));
}

/** Shows one node. */
export async function show(this: Shell, { json, context }: FleetFlags, id: string): Promise<void> {
  await using fleet = await this.connect(context);
  const node = await recordOf(fleet, id);
  if (json) return this.print(JSON.stringify(node));
  const { platform, labels, slots, load, capabilities, tasks, running, guarded } = node;
  const gib = (bytes: number) => `${(bytes / 1024 ** 3).toFixed(1)} GiB`;
  const rows = [
    ["state", `${node.state} since ${node.since}`],
    [
      "machine",
      `${node.hostname}, ${platform.os}/${platform.arch}, ${load.cores} cores, ${gib(load.memoryFreeBytes)} of ${
        gib(load.memoryBytes)
      } free`,
    ],
    ["load", load.one.toFixed(2)],
    ["version", node.version],
    ["link", linkText(node)],
    ["labels", labelText(labels) || "-"],
    ["slots", `${slots.free} of ${slots.total} free, ${node.queued} waiting`],
    ["running", running.join(" ") || "-"],
    ...(guarded === undefined
      ? []
      : [["when killed", guarded ? "its runs end at once" : "its runs end when it is back"]]),
    ["offers", capabilities.map(({ name, verbs }) => `${name} (${verbs.join(", ")})`).join(" ")],
  ];
  this.print(table([node.id, ""], rows));
  if (tasks.length > 0) this.print(`\n${table(["TASK", ""], tasks.map(({ name, desc }) => [name, desc]))}`);
}

function linkText({ state, link: { mode, up, rttMs, contactAt, backlogBytes } }: NodeRecord): string {
  const kind = mode === "leaf" ? "leaf node" : "client";
  // What it said last is of then: nobody knows what waits on it now.
  if (state === "offline") {
    return [kind, "down", ...(contactAt === undefined ? [] : [`last contact ${contactAt}`])].join(", ");
  }
  return [
    kind,
    ...(up === undefined ? [] : [up ? "up" : "the hub does not answer"]),
    ...(rttMs === undefined ? [] : [`${rttMs} ms there and back`]),
    ...(backlogBytes === undefined
      ? []
      : [backlogBytes === 0 ? "nothing waits" : `${backlogBytes} bytes wait for the hub`]),
    ...(contactAt === undefined ? [] : [`last contact ${contactAt}`]),
  ].join(", ");
}

/** Sets labels (`key=value`) and takes them away (`key-`). */
export async function label(
  this: Shell,
  flags: FleetFlags,
  id: string,
  ...changes: string[]
): Promise<void> {
  const labels = Object.fromEntries(changes.map((change) => {
    const at = change.indexOf("=");
    if (at > 0) return [change.slice(0, at), change.slice(at + 1)];
    if (change.endsWith("-") && change.length > 1) return [change.slice(0, -1), null];
    throw new XtaskError("invalid", `'${change}' changes no label`, {
      details: ["expected key=value, or key- to take it away"],
    });
  }));
  await control(this, flags, id, { verb: "label", input: { labels } });
}

/** Lets a node finish what it runs and take nothing new. */
export async function drain(this: Shell, flags: FleetFlags, id: string): Promise<void> {
  await control(this, flags, id, { verb: "drain" });
}

/** Lets a drained node take commands again. */
export async function resume(this: Shell, flags: FleetFlags, id: string): Promise<void> {
  await control(this, flags, id, { verb: "resume" });
}

async function control(shell: Shell, { json, context }: FleetFlags, id: string, asked: Control): Promise<void> {
  await using fleet = await shell.connect(context);
  const node = await controlNode(fleet, id, asked);
  if (json) return shell.print(JSON.stringify(node));
  shell.print(`${id} is ${node.state}${labelText(node.labels) === "" ? "" : `, labels ${labelText(node.labels)}`}`);
}

/** The record of one node: its own word, or what the hub knows of one that is away. */
async function recordOf(fleet: Awaited<ReturnType<Shell["connect"]>>, id: string): Promise<NodeRecord> {
  try {
    return parseJson(NodeRecord, (await fleet.bus.request(statusSubject(id), "")).text(), `record of ${id}`);
  } catch (error) {
    if (XtaskError.from(error).code !== "unavailable") throw error;
    const nodes = await fleet.nodes();
    const known = nodes.find((node) => node.id === id);
    if (known !== undefined) return known;
    throw unknownNode(id, nodes);
  }
}

function labelText(labels: Readonly<Record<string, string>>): string {
  return Object.entries(labels).map(([name, value]) => `${name}=${value}`).join(",");
}
