import assert from "node:assert/strict";
import * as v from "valibot";
import { connectFleet } from "../../lib/client/fleet.ts";
import type { Bus } from "../../lib/nats/bus.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { NodeRecord } from "../../lib/protocol/node.ts";
import { parseJson } from "../../lib/protocol/parse.ts";
import { HEADER, Reply } from "../../lib/protocol/run.ts";
import {
  broadcastSubject,
  DISCOVER,
  hubSubject,
  nodeControlSubject,
  statusSubject,
} from "../../lib/protocol/subjects.ts";
import { ask, refused, resultOf } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

/** Long enough for every node of one machine to answer; an answer that must not come is not waited for longer. */
const GATHER_MS = 400;

async function gather(bus: Bus, subject: string, payload: string, expected = 0): Promise<string[]> {
  const texts: string[] = [];
  const enough = new AbortController();
  // All that are expected, however slow the machine is, and then a while for those that are not.
  let quiet = expected === 0 ? setTimeout(() => enough.abort(), GATHER_MS) : undefined;
  for await (
    const message of bus.gather(subject, payload, AbortSignal.any([enough.signal, AbortSignal.timeout(20_000)]))
  ) {
    texts.push(message.text());
    if (texts.length === expected) quiet = setTimeout(() => enough.abort(), GATHER_MS);
  }
  clearTimeout(quiet);
  return texts;
}

const idsOf = (texts: readonly string[]) => texts.map((text) => parseJson(NodeRecord, text, "record").id).sort();

Deno.test("nodes are found, described and asked together", async (t) => {
  await using fleet = await startFleet({
    nodes: [
      { id: "n1", labels: { role: "ci", region: "eu-west" } },
      { id: "n2", labels: { role: "edge", region: "eu-north" } },
      { id: "n3", labels: { role: "ci", region: "us-east" }, allow: ["which"], slots: 1 },
    ],
  });
  const { admin } = fleet;

  await t.step("discovery answers for every node, or for those that a selector means", async () => {
    assert.deepEqual(idsOf(await gather(admin, DISCOVER, "", 3)), ["n1", "n2", "n3"]);
    const expected = {
      "all": ["n1", "n2", "n3"],
      "role=ci": ["n1", "n3"],
      "role=ci,region=eu-*": ["n1"],
      "role!=ci": ["n2"],
      "has=task": ["n1", "n2"],
      "n2|n3": ["n2", "n3"],
      "os=plan9": [],
    };
    for (const [select, ids] of Object.entries(expected)) {
      assert.deepEqual(idsOf(await gather(admin, DISCOVER, JSON.stringify({ select }), ids.length)), ids, select);
    }
  });

  await t.step("status is the record of one node, and advertises its tasks", async () => {
    const record = parseJson(NodeRecord, (await admin.request(statusSubject("n1"), "")).text(), "status");
    assert.equal(record.id, "n1");
    assert.equal(record.state, "online");
    assert.deepEqual(record.labels, { role: "ci", region: "eu-west" });
    assert.deepEqual(record.slots, { total: 2, free: 2 });
    assert.deepEqual(record.running, []);
    const { mode, up, rttMs = 0, backlogBytes } = record.link;
    assert.deepEqual({ mode, up, backlogBytes }, { mode: "client", up: true, backlogBytes: 0 });
    assert.ok(rttMs > 0, `${rttMs} ms`);
    assert.deepEqual(record.capabilities.find(({ name }) => name === "task")?.verbs.sort(), ["list", "run"]);
    const build = record.tasks.find(({ name }) => name === "build");
    assert.match(build?.desc ?? "", /Write the tool to dist/);
    assert.deepEqual(
      parseJson(NodeRecord, (await admin.request(statusSubject("n3"), "")).text(), "status").tasks,
      [],
      "a node that runs no tasks advertises none",
    );
  });

  await t.step("the hub has the same records, as they were registered", async () => {
    const HubNodes = v.object({ nodes: v.array(NodeRecord) });
    const all = parseJson(HubNodes, (await admin.request(hubSubject("node", "list"), "")).text(), "nodes").nodes;
    assert.deepEqual(all.map(({ id }) => id), ["n1", "n2", "n3"]);
    assert.ok(all[0]?.tasks.some(({ name }) => name === "test"), "registration tells the tasks");
    const some = await admin.request(hubSubject("node", "list"), '{"select":"role=edge"}');
    assert.deepEqual(parseJson(HubNodes, some.text(), "nodes").nodes.map(({ id }) => id), ["n2"]);
  });

  await t.step(
    "a broadcast runs on each node that has the capability and is meant; the others stay silent",
    async () => {
      const nodesOf = (texts: readonly string[]) => texts.map((text) => parseJson(Reply, text, "answer").node).sort();
      const which = (more: Record<string, unknown>) => JSON.stringify({ names: ["sh"], ...more });
      const subject = broadcastSubject("which", "check");
      assert.deepEqual(nodesOf(await gather(admin, subject, which({}), 3)), ["n1", "n2", "n3"]);
      assert.deepEqual(nodesOf(await gather(admin, subject, which({ select: "role=ci" }), 2)), ["n1", "n3"]);
      assert.deepEqual(nodesOf(await gather(admin, subject, which({ select: "n9" }))), []);
      const listed = await gather(admin, broadcastSubject("task", "list"), "{}", 2);
      assert.deepEqual(nodesOf(listed), ["n1", "n2"], "n3 has no such capability");
    },
  );

  await t.step("a broadcast with an id is one command with a run on each node", async () => {
    const id = newCommandId();
    admin.publish(broadcastSubject("task", "run"), '{"args":["hello"]}', { [HEADER.commandId]: id });
    for (const node of ["n1", "n2"]) {
      await until(`${node} to know the command`, () => ask(admin, node, "run.status", { id }).catch(() => undefined));
      assert.equal((await resultOf(admin, node, id)).state, "succeeded");
    }
    await refused(ask(admin, "n3", "run.status", { id }), "not_found");
  });

  await t.step("labels are set and taken away on the node, and the hub learns of it", async () => {
    const label = (labels: Record<string, string | null>) =>
      admin.request(nodeControlSubject("n2", "label"), JSON.stringify({ labels }));
    await label({ tier: "prod", region: null });
    assert.deepEqual(idsOf(await gather(admin, DISCOVER, '{"select":"tier=prod"}', 1)), ["n2"]);
    await until("the hub's record", () => fleet.up.hub.fleet.get("n2")?.labels.tier === "prod");
    assert.deepEqual(fleet.up.hub.fleet.get("n2")?.labels, { role: "edge", tier: "prod" });
    await refused(label({ "no good": "x" }), "invalid");
    await refused(label({ tier: "a,b" }), "invalid");
    await label({ tier: null });
  });

  await t.step("the fleet answers the NATS services protocol", async () => {
    const pongs = (await gather(admin, "$SRV.PING", "", 3)).map((text) => JSON.parse(text));
    assert.deepEqual(pongs.map(({ id }) => id).sort(), ["n1", "n2", "n3"]);
    for (const { type, name, version, metadata } of pongs) {
      assert.deepEqual([type, name], ["io.nats.micro.v1.ping_response", "xtask-agent"]);
      assert.match(version, /^\d+\.\d+\.\d+/);
      assert.equal(typeof metadata.os, "string");
    }
    assert.equal((await gather(admin, "$SRV.PING.xtask-agent", "", 3)).length, 3);
    const [info, ...others] = (await gather(admin, "$SRV.INFO.xtask-agent.n3", "", 1)).map((text) => JSON.parse(text));
    assert.deepEqual(others, []);
    assert.equal(info.type, "io.nats.micro.v1.info_response");
    assert.ok(
      info.endpoints.some(({ subject }: { subject: string }) => subject === "xtask.n3.which.check"),
      "each verb is an endpoint",
    );
    const [stats] = (await gather(admin, "$SRV.STATS.xtask-agent.n3", "", 1)).map((text) => JSON.parse(text));
    const check = stats.endpoints.find(({ subject }: { subject: string }) => subject === "xtask.n3.which.check");
    assert.equal(stats.type, "io.nats.micro.v1.stats_response");
    const before = check.num_requests;
    await ask(admin, "n3", "which.check", { names: ["sh"] });
    const [after] = (await gather(admin, "$SRV.STATS.xtask-agent.n3", "", 1)).map((text) => JSON.parse(text));
    const counted = after.endpoints.find(({ subject }: { subject: string }) => subject === "xtask.n3.which.check");
    assert.equal(counted.num_requests, before + 1);
  });
});

Deno.test("a fleet that is larger than a message is listed whole, a part at a time", async () => {
  await using fleet = await startFleet();
  await using client = await connectFleet({ servers: fleet.url, creds: fleet.up.adminCreds });
  const [own] = await client.nodes();
  assert.ok(own);
  const ids = Array.from({ length: 3_000 }, (_, n) => `edge-${n}`);
  for (const id of ids) fleet.up.hub.fleet.registered({ ...own, id, instance: id }, Date.now());
  const listed = (await client.nodes()).map(({ id }) => id);
  assert.deepEqual(listed, [...ids, "n1"].sort());
  assert.deepEqual((await client.nodes("edge-1*")).length, ids.filter((id) => id.startsWith("edge-1")).length);
  const part = JSON.parse((await fleet.admin.request(hubSubject("node", "list"), "{}")).text());
  assert.equal(part.next, part.nodes.at(-1).id, "who asks by hand is told where to go on");
});
