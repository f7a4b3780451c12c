/** `xtask commands`: what was asked, and what came of it. */
import * as v from "valibot";
import { cancelCommand, commandOf, listCommands } from "../../client/commands.ts";
import { storedLogs } from "../../client/follow.ts";
import { XtaskError } from "../../protocol/error.ts";
import type { CommandRecord, Move } from "../../protocol/run.ts";
import { stateOf, whereabouts } from "../../protocol/move.ts";
import { parse } from "../../protocol/parse.ts";
import { isTerminal, type State, STATES } from "../../protocol/state.ts";
import { isCapabilityName, loadCapability } from "../../capability/registry.ts";
import { createReport } from "../report.ts";
import type { Shell } from "../shell.ts";
import { duration, stateStyle, styled, table } from "../terminal.ts";
import { executeMoving, watchMoving } from "../moving.ts";
import { executeThere, watch } from "../there.ts";
import type { FleetFlags } from "./nodes.ts";

/** Flags of `xtask commands ls`. */
export interface ListFlags extends FleetFlags {
  readonly limit: number;
  readonly node?: string;
  readonly state?: string;
}

/** Lists the newest commands. */
export async function list(this: Shell, { json, context, limit, node, state }: ListFlags): Promise<void> {
  await using fleet = await this.connect(context);
  const query = {
    limit,
    ...(node === undefined ? {} : { node }),
    ...(state === undefined ? {} : { state: stateNamed(state) }),
  };
  const commands = await listCommands(fleet, query);
  if (json) return commands.forEach((command) => this.print(JSON.stringify(command)));
  if (commands.length === 0) return this.note("No commands yet. Ask for one: xtask task list --on all");
  this.print(
    table(["COMMAND", "WHAT", "STATE", "NODES", "TIME", "ASKED"], commands.map((command) => rowOf(this, command))),
  );
}

/** Shows one command and its run on each node. */
export async function show(this: Shell, { json, context }: FleetFlags, id: string): Promise<void> {
  await using fleet = await this.connect(context);
  const command = await commandOf(fleet, id);
  if (json) return this.print(JSON.stringify(command));
  this.print(`${command.id}  ${what(command)}  asked ${command.acceptedAt}${byText(command)}`);
  if (command.input !== undefined) this.print(`input ${JSON.stringify(command.input)}`);
  const { move } = command;
  if (move !== undefined) {
    const state = stateOf(command);
    const where = whereabouts({ move, runs: command.runs });
    this.print(`${styled(state, stateStyle(state), this.color)}  may move among ${move.any}; ${where}`);
    if (move.ended?.error !== undefined) this.print(move.ended.error.message);
    for (const { attempt, node, reason } of move.lost) this.print(`lost attempt ${attempt}, on ${node}: ${reason}`);
    if (Object.keys(command.runs).length === 0) return;
  }
  const rows = Object.entries(command.runs).map(([node, run]) => [
    node,
    styled(run.state, stateStyle(run.state), this.color) + (run.stale ? " (stale)" : ""),
    run.exitCode === undefined ? "-" : String(run.exitCode),
    run.durationMs === undefined ? "-" : duration(run.durationMs),
    run.startedAt ?? "-",
    run.error?.message ?? "",
  ]);
  this.print(table(["NODE", "STATE", "EXIT", "TIME", "STARTED", ""], rows));
}

/** Flags of `xtask commands logs`. */
export interface LogsFlags extends FleetFlags {
  readonly follow: boolean;
  readonly node?: string;
}

/** Prints a command's output; with `-f` until it has ended everywhere. */
export async function logs(this: Shell, { json, context, follow, node }: LogsFlags, id: string): Promise<void> {
  await using fleet = await this.connect(context);
  const { runs, move } = await commandOf(fleet, id);
  const nodes = Object.keys(runs).filter((one) => node === undefined || one === node);
  const report = createReport(this, { id, nodes, json });
  if (follow && move !== undefined && node === undefined) return await watchMoving(this, fleet, id, { json });
  if (follow) {
    const answers = nodes.map((one) => ({
      node: one,
      reply: { id, node: one, state: "running", logs: "", results: "" } as const,
    }));
    await watch(this, fleet, id, answers, report);
    return this.exit(report.close());
  }
  let any = false;
  for await (const event of storedLogs(fleet.bus, { id, ...(node === undefined ? {} : { node }) })) {
    any = true;
    report.event(event);
  }
  if (!any && !json) {
    this.note("No output is kept of this command (a short answer of a reading verb stands in its result alone)");
  }
}

/** Cancels a command wherever it still runs. */
export async function cancel(this: Shell, { json, context }: FleetFlags, id: string): Promise<void> {
  await using fleet = await this.connect(context);
  const outcomes = await cancelCommand(fleet, id);
  if (json) return this.print(JSON.stringify({ id, outcomes }));
  for (const [node, outcome] of Object.entries(outcomes)) this.print(`${node}: ${outcome.replace("_", " ")}`);
  if (Object.values(outcomes).includes("unreachable")) this.exit(75);
}

/** Flags of `xtask commands retry`. */
export interface RetryFlags extends FleetFlags {
  readonly all: boolean;
  readonly detach: boolean;
}

/** Asks the same again as a new command, on the nodes where it did not succeed. */
export async function retry(this: Shell, { json, context, all, detach }: RetryFlags, id: string): Promise<void> {
  const { capability: name, verb, input, runs, move } = await (async () => {
    await using fleet = await this.connect(context);
    return await commandOf(fleet, id);
  })();
  const where = move === undefined ? { on: retriedOn(id, runs, all) } : retriedMoving(id, { runs, move }, all);
  if (input === undefined || !isCapabilityName(name)) {
    throw new XtaskError("not_found", `The input of ${id} was too long to be kept`, {
      details: ["ask for it again as you did at first"],
    });
  }
  const capability = await loadCapability(name);
  const typed = { capability, verb, input };
  const placement = { ...where, json, detach, ...(context === undefined ? {} : { context }) };
  await ("any" in where ? executeMoving : executeThere)(this, { ...typed, placement });
}

/** @throws {XtaskError} `invalid` */
function stateNamed(name: string): State {
  return parse(v.picklist(STATES), name, "state");
}

/** The nodes on which it did not succeed, as a selector. */
function retriedOn(id: string, runs: CommandRecord["runs"], all: boolean): string {
  const meant = Object.entries(runs).filter(([, { state }]) => all || (isTerminal(state) && state !== "succeeded"));
  if (meant.length > 0) return `id=${meant.map(([node]) => node).join("|")}`;
  throw new XtaskError("conflict", `Nothing of ${id} is to be retried: it failed on no node`, {
    details: ["--all asks every node again"],
  });
}

/** One that may move did not succeed, and may move again. */
function retriedMoving(
  id: string,
  { runs, move }: { readonly runs: CommandRecord["runs"]; readonly move: Move },
  all: boolean,
): { readonly any: string; readonly move: true } {
  const state = stateOf({ runs, move });
  if (!isTerminal(state)) throw new XtaskError("conflict", `${id} still goes on`, { details: ["cancel it, or wait"] });
  if (state !== "succeeded" || all) return { any: move.any, move: true };
  throw new XtaskError("conflict", `Nothing of ${id} is to be retried: it succeeded`, {
    details: ["--all asks it again"],
  });
}

function rowOf(shell: Shell, command: CommandRecord): string[] {
  const runs = Object.values(command.runs);
  const states = command.move === undefined ? [...new Set(runs.map(({ state }) => state))] : [stateOf(command)];
  const longest = Math.max(...runs.map(({ durationMs }) => durationMs ?? -1));
  return [
    command.id,
    what(command),
    states.map((state) => styled(state, stateStyle(state), shell.color)).join(" "),
    Object.keys(command.runs).join(" "),
    longest < 0 ? "-" : duration(longest),
    `${duration(Date.now() - Date.parse(command.acceptedAt))} ago`,
  ];
}

/** A name that nobody has checked says so. */
function byText({ by, schedule, keep }: CommandRecord): string {
  const who = by === undefined ? "" : ` by ${by.user}${by.proven ? "" : " (by their own word)"}`;
  return `${who}${schedule === undefined ? "" : `, by schedule ${schedule}`}${keep ? ", outlives its agent" : ""}`;
}

function what({ capability, verb, input }: CommandRecord): string {
  const args = (input as { args?: unknown } | undefined)?.args;
  return `${capability} ${verb}${Array.isArray(args) ? ` ${args.join(" ")}` : ""}`.slice(0, 60);
}
