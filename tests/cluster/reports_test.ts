import assert from "node:assert/strict";
import { lastOf, STREAM } from "../../lib/nats/streams.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import {
  eventSubject,
  HEARTBEATS,
  heartbeatSubject,
  inboxPrefix,
  logSubject,
  resultSubject,
  storedResult,
  upAgentLog,
  upAlert,
  upEvent,
  upLog,
  upMetrics,
  upResult,
} from "../../lib/protocol/subjects.ts";
import { hear } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

Deno.test("what a node publishes under its own prefix is stored and republished as the design says", async (t) => {
  await using fleet = await startFleet({ nodes: [] });
  // A name that no agent runs under, so that nothing else is heard of it.
  const node = "edge-7";
  const author = await fleet.connect(await fleet.join("node", node), { inboxPrefix: inboxPrefix(node) });
  const operator = await fleet.connect(await fleet.join("operator", "olga"));
  const id = newCommandId();
  const rows = [
    { up: upResult(node, id), stream: STREAM.results, as: storedResult(id, node), live: resultSubject(id) },
    { up: upLog(node, id), stream: STREAM.logs, as: logSubject(node, id), live: logSubject(node, id) },
    { up: upAgentLog(node), stream: STREAM.logs, as: `xtask.logs.${node}`, live: `xtask.logs.${node}` },
    {
      up: upEvent(node, "command_started"),
      stream: STREAM.events,
      as: `xtask.events.default.command_started.${node}`,
      live: eventSubject("default", "command_started"),
    },
    {
      up: upAlert(node, "warning"),
      stream: STREAM.alerts,
      as: `xtask.alerts.warning.${node}`,
      live: "xtask.alerts.warning",
    },
    {
      up: upMetrics(node),
      stream: STREAM.metrics,
      as: `xtask.metrics.${node}`,
      live: `xtask.metrics.${node}`,
    },
  ];
  for (const { up, stream, as, live } of rows) {
    await t.step(`${up.replace(id, "{command}")} → ${live.replace(id, "{command}")}`, async () => {
      const payload = JSON.stringify({ of: up });
      using heard = await hear(operator, live);
      author.publish(up, payload);
      const message = await heard.first();
      assert.equal(message.text(), payload);
      assert.equal(message.header("Nats-Subject"), as, "the author stands in the stored subject");
      const stored = await until("the stored message", () => lastOf(operator, stream, as));
      assert.equal(stored.text, payload);
      assert.equal((await lastOf(fleet.admin, STREAM.up, up))?.text, payload);
      assert.equal(heard.messages.length, 1, "and it is heard once");
    });
  }

  await t.step("xtask.nodes.heartbeat.{node} → xtask.nodes.heartbeat", async () => {
    using heard = await hear(operator, HEARTBEATS);
    author.publish(heartbeatSubject(node), "{}");
    const message = await heard.first();
    assert.equal(message.header("Nats-Subject"), heartbeatSubject(node));
    assert.equal((await lastOf(fleet.admin, STREAM.presence, heartbeatSubject(node)))?.text, "{}");
  });
});
