/** Has the hub run a command on the best node, and on another one where that is lost; shows what happens as it does. */
import { wireForm } from "../capability/define.ts";
import type { Fleet } from "../client/fleet.ts";
import type { MovingEvent } from "../client/follow_moving.ts";
import { HUB_AUTHOR } from "../protocol/id.ts";
import { parse } from "../protocol/parse.ts";
import { isTerminal } from "../protocol/state.ts";
import { hubSubject } from "../protocol/subjects.ts";
import { deadlineOf, type Typed } from "../words/placement.ts";
import { createReport, type Report } from "./report.ts";
import type { Shell } from "./shell.ts";

/** Submits it, follows it, and sets the exit code. */
export async function executeMoving(shell: Shell, { placement, capability, verb, input }: Typed): Promise<void> {
  const { any = "all", id: given, json, detach } = placement;
  const definition = capability.verbs[verb];
  if (definition === undefined) {
    throw new TypeError(`Cannot ask for ${capability.name}.${verb} as there is no such verb`);
  }
  parse(definition.input, input, `input of ${capability.name}.${verb}`);
  await using fleet = await shell.connect(placement.context);
  const deadline = deadlineOf(placement);
  const { id, state } = await fleet.submit({
    capability: capability.name,
    ...wireForm(definition, verb, input),
    any,
    ...(given === undefined ? {} : { id: given }),
    ...(deadline === undefined ? {} : { deadline }),
  });
  if (json) shell.print(JSON.stringify({ type: "submitted", id, state }));
  if (detach) return json ? undefined : shell.print(id);
  await watchMoving(shell, fleet, id, { json, any: isTerminal(state) ? undefined : any }, definition.cli?.exitCode);
}

/** A node with a free slot has it sooner than that. */
const WAITS_MS = 2_000;
/** Longer than the hub waits for a node. */
const CANCEL_MS = 20_000;

/** Follows a command that may move, and sets the exit code. */
export async function watchMoving(
  shell: Shell,
  fleet: Fleet,
  id: string,
  { json, any }: { readonly json: boolean; readonly any?: string | undefined },
  exitCode?: (data: unknown) => number,
): Promise<void> {
  /** The node whose attempt counts. */
  const nodes: string[] = [];
  const report = createReport(shell, { id, nodes, json });
  const leave = new AbortController();
  let asked = 0;
  const onInterrupt = () => {
    if (++asked > 1) return leave.abort();
    shell.note("\nCancelling; Ctrl-C again leaves at once and lets it go on");
    fleet.bus.request(hubSubject("command", "cancel", fleet.bus.user), JSON.stringify({ id }), { timeoutMs: CANCEL_MS })
      .catch((error) => shell.note((error as Error).message));
  };
  const waits = setTimeout(() => {
    if (any !== undefined && !json) {
      shell.note(`No node that '${any}' selects has a slot free; it waits at the hub for one`);
    }
  }, WAITS_MS);
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    for await (const event of fleet.followMoving(id, leave.signal)) {
      clearTimeout(waits);
      show(shell, report, event, { id, nodes, json });
    }
    if (leave.signal.aborted) report.left();
  } finally {
    clearTimeout(waits);
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
  shell.exit(report.close(exitCode));
}

function show(
  shell: Shell,
  report: Report,
  event: MovingEvent,
  { id, nodes, json }: { readonly id: string; readonly nodes: string[]; readonly json: boolean },
): void {
  switch (event.type) {
    case "placed":
      nodes[0] = event.node;
      if (json) shell.print(JSON.stringify({ ...event, id }));
      else if (event.attempt > 1) shell.note(`Started again on ${event.node}, attempt ${event.attempt}`);
      return;
    case "moving":
      if (json) shell.print(JSON.stringify({ ...event, id }));
      else shell.note(`${event.node} has lost it: ${event.reason}. It goes to another node`);
      return;
    case "ended":
      nodes[0] = HUB_AUTHOR;
      return report.failed(HUB_AUTHOR, event.error, event.state);
    default:
      return report.event(event);
  }
}
