/** Runs a command on nodes of the fleet and shows what happens: output live and prefixed, then a summary. */
import { wireForm } from "../capability/define.ts";
import type { Answer, Ask, Fleet } from "../client/fleet.ts";
import { placeOn } from "../client/place.ts";
import { ERROR_CODES, type XtaskError } from "../protocol/error.ts";
import { newCommandId } from "../protocol/id.ts";
import { parse } from "../protocol/parse.ts";
import { isUnended, type Result } from "../protocol/run.ts";
import { runSubject } from "../protocol/subjects.ts";
import { deadlineOf, type Typed } from "../words/placement.ts";
import { createReport, type Report } from "./report.ts";
import type { Shell } from "./shell.ts";

/** Asks, follows, and sets the exit code. */
export async function executeThere(shell: Shell, typed: Typed): Promise<void> {
  const { placement, capability, verb, input } = typed;
  await using fleet = await shell.connect(placement.context);
  const { nodes, offline } = await placeOn(fleet, capability.name, placement);
  const id = placement.id ?? newCommandId();
  const deadline = deadlineOf(placement);
  const definition = capability.verbs[verb];
  if (definition === undefined) {
    throw new TypeError(`Cannot ask for ${capability.name}.${verb} as there is no such verb`);
  }
  // Refused here, a mistake costs no round trip to every node.
  parse(definition.input, input, `input of ${capability.name}.${verb}`);
  const read = definition.effect === "read";
  const asked = {
    capability: capability.name,
    ...wireForm(definition, verb, input),
    id,
    ...(deadline === undefined ? {} : { deadline }),
    ...(placement.keep ? { keep: true } : {}),
  };
  if (placement.queue && offline.length > 0) await leave(shell, fleet, { ...asked, nodes: offline }, placement.json);
  else for (const node of offline) shell.note(`${node} is offline and left out; --queue leaves the command for it`);
  if (nodes.length === 0) return;
  const report = createReport(shell, { id, nodes, json: placement.json });
  const { answers } = await fleet.ask({
    ...asked,
    nodes,
    // What runs for a while is followed from its first line on; what only reads answers at once.
    ...(read ? {} : { waitMs: 0 }),
  });
  for (const { node, reply, error } of answers) if (reply !== undefined && error === undefined) report.accepted(node);
  if (placement.detach) {
    for (const { node, error } of answers) if (error !== undefined) report.failed(node, error);
    if (!placement.json) shell.print(id);
    const refused = answers.find(({ error }) => error !== undefined)?.error;
    return shell.exit(refused === undefined ? 0 : ERROR_CODES[refused.code].exit);
  }
  await watch(shell, fleet, id, answers, report);
  shell.exit(report.close(definition.cli?.exitCode));
}

/** Follows a command that was asked before: what `commands logs -f` and `retry` do. */
export async function watch(
  shell: Shell,
  fleet: Fleet,
  id: string,
  answers: readonly Answer[],
  report: Report,
): Promise<void> {
  const pending: string[] = [];
  for (const { node, reply, error } of answers) {
    if (error !== undefined) report.failed(node, error);
    else if (reply !== undefined && isUnended(reply)) pending.push(node);
    else if (reply !== undefined && "finishedAt" in reply) report.whole(reply as Result);
  }
  if (pending.length === 0) return;
  const leave = new AbortController();
  let asked = 0;
  const onInterrupt = () => {
    if (++asked > 1) return leave.abort();
    shell.note("\nCancelling; Ctrl-C again leaves at once and lets the nodes finish on their own");
    for (const node of pending) {
      fleet.bus.request(runSubject(node, "cancel"), JSON.stringify({ id }), { timeoutMs: CANCEL_MS })
        .catch((error: XtaskError) => shell.note(`${node}: ${error.message}`));
    }
  };
  Deno.addSignalListener("SIGINT", onInterrupt);
  try {
    for await (const event of fleet.follow(id, pending, leave.signal)) report.event(event);
    if (leave.signal.aborted) report.left();
  } finally {
    Deno.removeSignalListener("SIGINT", onInterrupt);
  }
}

/** A run gets its grace to end before the node answers. */
const CANCEL_MS = 15_000;

/** Leaves a command at the hub for nodes that are away. */
async function leave(shell: Shell, fleet: Fleet, ask: Omit<Ask, "waitMs">, json: boolean): Promise<void> {
  const { id, nodes, deadline } = await fleet.queue(ask);
  if (json) return shell.print(JSON.stringify({ type: "queued", id, nodes, deadline }));
  shell.note(`${nodes.join(", ")} ${nodes.length === 1 ? "is" : "are"} away: ${id} waits at the hub until ${deadline}`);
  shell.note(`  how it stands: xtask commands show ${id}    take it back: xtask commands cancel ${id}`);
}
