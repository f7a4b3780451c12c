import assert from "node:assert/strict";
import fc from "fast-check";
import type { Heartbeat, NodeRecord } from "../protocol/node.ts";
import { Fleet, type FleetChange } from "./fleet.ts";

const NOW = 1_767_225_600_000;
const iso = (now: number) => new Date(now).toISOString();

function record(id: string, change: Partial<NodeRecord> = {}): NodeRecord {
  return {
    id,
    instance: "i1",
    hostname: `${id}.example`,
    platform: { os: "linux", arch: "amd64" },
    labels: {},
    version: "0.1.0",
    capabilities: [],
    tasks: [],
    slots: { total: 2, free: 2 },
    queued: 0,
    load: { one: 0, cores: 2, memoryBytes: 2, memoryFreeBytes: 1 },
    state: "online",
    since: iso(NOW),
    link: { mode: "client" },
    running: [],
    ...change,
  };
}

function beat(id: string, change: Partial<Heartbeat> = {}): Heartbeat {
  const { instance, state, slots, queued, load, running } = record(id);
  return { id, instance, state, slots, queued, load, running, at: iso(NOW), digest: "d", ...change };
}

Deno.test("a node joins once, is lost once, and comes back by its next heartbeat", () => {
  const fleet = new Fleet();
  assert.deepEqual(fleet.registered(record("n1"), NOW), {
    type: "node_joined",
    node: "n1",
    reason: "new, on n1.example",
  });
  assert.equal(fleet.registered(record("n1"), NOW + 1), undefined);
  assert.deepEqual(fleet.beat(beat("n1", { state: "busy", running: ["c"] }), NOW + 2_000), {});
  assert.deepEqual([fleet.get("n1")?.state, fleet.get("n1")?.running, fleet.get("n1")?.since], [
    "busy",
    ["c"],
    iso(NOW + 2_000),
  ]);
  assert.equal(fleet.lost("n1", NOW + 20_000)?.type, "node_left");
  assert.match(fleet.get("n1")?.state ?? "", /offline/);
  assert.equal(fleet.lost("n1", NOW + 21_000), undefined);
  assert.deepEqual(fleet.beat(beat("n1"), NOW + 30_000), {
    change: {
      type: "node_joined",
      node: "n1",
      reason: "back again; its agent is the same as before: its link was down, or its machine stood still",
    },
  });
  assert.deepEqual([fleet.get("n1")?.state, fleet.get("n1")?.seenAt], ["online", iso(NOW + 30_000)]);
});

Deno.test("a node that was lost is back by another agent: on the same machine, or on one that was started anew", () => {
  const bootedAt = iso(NOW - 3_600_000);
  const again = (change: Partial<NodeRecord>) => {
    const fleet = new Fleet();
    fleet.registered(record("n1", { bootedAt }), NOW);
    fleet.lost("n1", NOW + 20_000);
    return fleet.registered(record("n1", { instance: "i2", ...change }), NOW + 60_000)?.reason;
  };
  assert.equal(
    again({ bootedAt: iso(NOW - 3_599_000) }),
    "back again; its agent was started anew, its machine was not",
  );
  const rebooted = iso(NOW + 40_000);
  assert.equal(again({ bootedAt: rebooted }), `back again; its machine was started anew at ${rebooted}`);
  assert.equal(again({}), "back again; its agent was started anew", "of an older version");
});

Deno.test("what the others tell of why a node is lost is told with it", () => {
  const fleet = new Fleet();
  const hostname = "rack-1";
  for (const id of ["a", "b"]) fleet.registered(record(id, { hostname }), NOW);
  fleet.beat(beat("b"), NOW + 19_000);
  assert.match(fleet.lost("a", NOW + 20_000)?.hint ?? "", /^b on the same machine is heard of/);
  const many = new Fleet();
  for (const id of ["a", "b", "c", "d"]) many.registered(record(id), NOW);
  many.beat(beat("d"), NOW + 19_000);
  assert.equal(many.lost("a", NOW + 20_000)?.hint, undefined);
  assert.equal(many.lost("b", NOW + 20_000)?.hint, undefined);
  assert.match(many.lost("c", NOW + 20_000)?.hint ?? "", /^2 others were lost with it and 1 are heard of/);
});

Deno.test("an agent that stops says so itself", () => {
  const fleet = new Fleet();
  fleet.registered(record("n1"), NOW);
  assert.deepEqual(fleet.beat(beat("n1", { state: "offline" }), NOW), {
    change: { type: "node_left", node: "n1", reason: "its agent was stopped" },
  });
  assert.deepEqual(fleet.beat(beat("n1", { state: "offline" }), NOW), {});
  assert.equal(fleet.lost("n1", NOW + 20_000), undefined, "it is known to be gone");
});

Deno.test("a heartbeat of a node or an instance whose record is not known changes nothing and asks for the record", () => {
  const fleet = new Fleet();
  assert.equal(fleet.beat(beat("n1"), NOW), undefined);
  fleet.registered(record("n1"), NOW);
  const before = fleet.get("n1");
  assert.equal(fleet.beat(beat("n1", { instance: "i2", state: "draining" }), NOW + 1), undefined);
  assert.deepEqual(fleet.get("n1"), before);
});

Deno.test("whatever is heard, joins and leaves of a node alternate and agree with its state", () => {
  const heard = fc.record({
    node: fc.constantFrom("n1", "n2"),
    what: fc.constantFrom("register", "beat", "stop", "lost", "other"),
  });
  fc.assert(fc.property(fc.array(heard, { maxLength: 60 }), (all) => {
    const fleet = new Fleet();
    const last = new Map<string, FleetChange["type"]>();
    for (const [step, { node, what }] of all.entries()) {
      const now = NOW + step;
      const change = what === "register"
        ? fleet.registered(record(node), now)
        : what === "lost"
        ? fleet.lost(node, now)
        : fleet.beat(
          beat(node, what === "stop" ? { state: "offline" } : what === "other" ? { instance: "i9" } : {}),
          now,
        )?.change;
      if (change !== undefined) {
        assert.equal(change.node, node);
        assert.notEqual(change.type, last.get(node), `${change.type} twice`);
        last.set(node, change.type);
      }
      const there = fleet.get(node) !== undefined && fleet.get(node)?.state !== "offline";
      assert.equal(there, last.get(node) === "node_joined");
    }
    assert.deepEqual(fleet.nodes.map(({ id }) => id), [...last.keys()].sort());
  }));
});
