/** `xtask schedules`: what nodes do by themselves at times of the clock. */
import { isCapabilityName, loadCapability } from "../../capability/registry.ts";
import { controlNode } from "../../client/control.ts";
import type { Fleet } from "../../client/fleet.ts";
import { noneMatch } from "../../client/place.ts";
import { XtaskError } from "../../protocol/error.ts";
import { newCommandId } from "../../protocol/id.ts";
import type { Schedule } from "../../protocol/schedule.ts";
import { selectsOneNode } from "../../protocol/selector.ts";
import { readWords } from "../../words/read_words.ts";
import { writeWords } from "../../words/write_words.ts";
import type { Shell } from "../shell.ts";
import { table } from "../terminal.ts";
import type { FleetFlags } from "./nodes.ts";

/** Which nodes are meant. */
interface OnFlags extends FleetFlags {
  readonly on: string;
}

/** Flags of `xtask schedules add`. */
export interface AddFlags extends OnFlags {
  readonly cron: string;
  readonly zone?: string;
  readonly missed: "skip" | "run";
}

/** Lists the schedules of the nodes that a selector means. */
export async function list(this: Shell, { json, context }: FleetFlags, select = "all"): Promise<void> {
  await using fleet = await this.connect(context);
  const nodes = await fleet.nodes(select);
  if (nodes.length === 0 && select !== "all") throw await noneMatch(fleet, select);
  const all = nodes.flatMap(({ id, schedules = [] }) => schedules.map((schedule) => ({ node: id, ...schedule })));
  if (json) return all.forEach((one) => this.print(JSON.stringify(one)));
  if (all.length === 0) {
    return this.note("No schedules. Set one: xtask schedules add nightly --cron '0 3 * * *' --on ID -- task nightly");
  }
  const rows = await Promise.all(all.map(async (one) => [
    one.name,
    one.node,
    one.cron,
    one.zone,
    await wordsOf(one),
    one.nextAt ?? "never again",
    one.lastAt === undefined ? "-" : one.lastCommand ?? `skipped ${one.lastAt}`,
    one.by?.user ?? "-",
  ]));
  this.print(table(["SCHEDULE", "NODE", "CRON", "ZONE", "WHAT", "NEXT", "LAST", "BY"], rows));
}

/** Lets nodes do by themselves what stands behind `--`. */
export async function add(this: Shell, flags: AddFlags, name: string): Promise<void> {
  const { json, context, on, cron, zone, missed } = flags;
  if (this.rest.length === 0) {
    throw new XtaskError("invalid", "What is to be done stands behind --", {
      details: ["such as: xtask schedules add nightly --cron '0 3 * * *' --on edge-1 -- task nightly"],
    });
  }
  const { capability, verb, input, placement } = await readWords(this.rest);
  if (placement.on !== undefined || placement.any !== undefined) {
    throw new XtaskError("invalid", "Where it runs stands before --: the nodes that hold the schedule");
  }
  await using fleet = await this.connect(context);
  const asked = {
    ...{ id: newCommandId(), name, cron, missed, capability: capability.name, verb },
    input: input as Record<string, unknown>,
    ...(zone === undefined ? {} : { zone }),
  };
  const changed = await onEach(fleet, on, (node) => controlNode(fleet, node, { verb: "schedule", input: asked }));
  for (const { id, schedules = [] } of changed) {
    const set = schedules.find((one) => one.name === name);
    this.print(json ? JSON.stringify({ node: id, ...set }) : `${id}: ${name} runs next at ${set?.nextAt}`);
  }
}

/** Takes a schedule from the nodes that have it. */
export async function remove(this: Shell, { json, context, on }: OnFlags, name: string): Promise<void> {
  await using fleet = await this.connect(context);
  const having = selectsOneNode(on) === undefined
    ? async (id: string) => (await fleet.nodes(id))[0]?.schedules?.some((one) => one.name === name) ?? false
    : () => Promise.resolve(true);
  const changed = await onEach(
    fleet,
    on,
    async (node) =>
      await having(node) ? await controlNode(fleet, node, { verb: "unschedule", input: { name } }) : undefined,
  );
  if (changed.length === 0) throw new XtaskError("not_found", `No node that '${on}' selects has a schedule '${name}'`);
  for (const { id } of changed) this.print(json ? JSON.stringify({ node: id, name }) : `${id}: ${name} is gone`);
}

async function wordsOf({ capability, verb, input }: Schedule): Promise<string> {
  const known = isCapabilityName(capability) ? await loadCapability(capability) : undefined;
  const words = known === undefined ? undefined : writeWords({ capability: known, verb, input });
  return words ?? `${capability} ${verb} ${JSON.stringify(input)}`;
}

/** Does it on each node that is meant; one that is away cannot be asked, which is said before any is. */
async function onEach<T>(fleet: Fleet, on: string, act: (node: string) => Promise<T | undefined>): Promise<T[]> {
  const one = selectsOneNode(on);
  if (one !== undefined) return [await act(one)].filter((done) => done !== undefined);
  const nodes = await fleet.nodes(on);
  if (nodes.length === 0) throw await noneMatch(fleet, on);
  const away = nodes.filter(({ state }) => state === "offline").map(({ id }) => id);
  if (away.length > 0) {
    throw new XtaskError("unavailable", `A node keeps its schedules itself, and ${away.join(", ")} is away`, {
      details: ["select others, or wait until it is back: xtask nodes"],
    });
  }
  return (await Promise.all(nodes.map(({ id }) => act(id)))).filter((done) => done !== undefined);
}
