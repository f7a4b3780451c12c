/** What the version before this one sent, as it was recorded from it, and what a later one may add. */
import assert from "node:assert/strict";
import { NodeView } from "../lib/hub/fleet.ts";
import { Event } from "../lib/protocol/event.ts";
import { Health } from "../lib/protocol/health.ts";
import { Metrics } from "../lib/protocol/metrics.ts";
import { Heartbeat, NodeRecord } from "../lib/protocol/node.ts";
import { parse, type Schema } from "../lib/protocol/parse.ts";
import { CancelReply, CommandRecord, Reply, Result } from "../lib/protocol/run.ts";

const RECORDED: Record<string, unknown[]> = JSON.parse(
  await Deno.readTextFile(new URL("data/wire_before_leaf_nodes.json", import.meta.url)),
);
const SCHEMAS: Readonly<Record<string, Schema<unknown>>> = {
  record: NodeRecord,
  heartbeat: Heartbeat,
  event: Event,
  metrics: Metrics,
  reply: Reply,
  result: Result,
  cancelReply: CancelReply,
  command: CommandRecord,
  nodeView: NodeView,
  health: Health,
};

/** What is no longer read, and what is told in its place: a node says more of its link than a round trip. */
const GIVEN_UP = /^heartbeat \d+(, later)?\.rttMs$/;

/** What was recorded is all there after reading; what was added may be there or not. */
function kept(recorded: unknown, read: unknown, where: string): void {
  if (typeof recorded !== "object" || recorded === null) return assert.deepEqual(read, recorded, where);
  for (const [key, value] of Object.entries(recorded)) {
    if (!GIVEN_UP.test(`${where}.${key}`)) {
      kept(value, (read as Record<string, unknown> | undefined)?.[key], `${where}.${key}`);
    }
  }
}

/** As a later version may send it: with a field more in each object, but not where keys are names. */
function later(value: unknown, key = ""): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((one) => later(one));
  const grown = Object.fromEntries(Object.entries(value).map(([key, one]) => [key, later(one, key)]));
  return ["labels", "runs", "ended", "durations", "input", "data"].includes(key)
    ? grown
    : { ...grown, added: { later: 1 } };
}

for (const [kind, messages] of Object.entries(RECORDED)) {
  Deno.test(`each ${kind} of the version before is read whole, and with what a later one may add`, () => {
    const schema = SCHEMAS[kind] ?? assert.fail(`no schema for ${kind}`);
    assert.ok(messages.length > 0);
    for (const [index, message] of messages.entries()) {
      kept(message, parse(schema, message, `${kind} ${index}`), `${kind} ${index}`);
      kept(message, parse(schema, later(message), `${kind} ${index} of a later version`), `${kind} ${index}, later`);
    }
  });
}
