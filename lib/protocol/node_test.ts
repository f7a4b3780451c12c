import assert from "node:assert/strict";
import * as v from "valibot";
import { LABELS_MAX, TASKS_ADVERTISED_MAX } from "./limits.ts";
import { Heartbeat, Labels, NodeRecord } from "./node.ts";
import { parseSelector } from "./selector.ts";

const RECORD: NodeRecord = {
  id: "edge-7",
  instance: "0b2f6a4e",
  hostname: "edge-7.example",
  platform: { os: "linux", arch: "arm64" },
  labels: { region: "eu-west", "team/name": "core" },
  version: "0.1.0",
  capabilities: [{ name: "task", verbs: ["run", "list"] }],
  tasks: [{ name: "build", desc: "" }],
  slots: { total: 4, free: 3 },
  queued: 0,
  load: { one: 0.5, cores: 4, memoryBytes: 8e9, memoryFreeBytes: 4e9 },
  state: "online",
  since: "2026-01-01T00:00:00.000Z",
  link: { mode: "client" },
  running: [],
};

Deno.test("a record is taken as it is sent", () => {
  assert.deepEqual(v.parse(NodeRecord, JSON.parse(JSON.stringify(RECORD))), RECORD);
});

Deno.test("a record that could not have come from a node is refused", () => {
  const wrong: Record<string, unknown>[] = [
    { id: "hub" },
    { id: "a.b" },
    { id: "*" },
    { platform: { os: "plan9", arch: "arm64" } },
    { state: "sleeping" },
    { since: "yesterday" },
    { instance: "x".repeat(64) },
    { slots: { total: "4", free: 3 } },
    { link: { mode: "carrier pigeon" } },
    { tasks: Array.from({ length: TASKS_ADVERTISED_MAX + 1 }, () => ({ name: "t", desc: "" })) },
    { labels: { "a b": "c" } },
  ];
  for (const change of wrong) {
    assert.ok(!v.is(NodeRecord, { ...RECORD, ...change }), `taken: ${JSON.stringify(change).slice(0, 60)}`);
  }
  for (const key of Object.keys(RECORD)) {
    assert.ok(
      !v.is(NodeRecord, Object.fromEntries(Object.entries(RECORD).filter(([name]) => name !== key))),
      `without ${key}`,
    );
  }
});

Deno.test("a label is what a selector can name and can ask for by its value", () => {
  for (const labels of [{ region: "eu-west-1" }, { "team/name": "core.x" }, { a: "" }, { a: "x!y" }]) {
    const taken = v.parse(Labels, labels);
    for (const [key, value] of Object.entries(taken)) {
      if (value !== "") assert.ok(parseSelector(`${key}=${value}`)({ ...RECORD, labels: taken }), `${key}=${value}`);
    }
  }
  for (const value of ["a,b", "a|b", "a*", "a?", "a=b", "a b", "a\n", "x".repeat(129)]) {
    assert.ok(!v.is(Labels, { key: value }), JSON.stringify(value));
  }
  for (const key of ["", "a=b", "a,b", "a!b", "-a", " a", "x".repeat(64)]) {
    assert.ok(!v.is(Labels, { [key]: "x" }), JSON.stringify(key));
  }
  const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, i) => [`l${i}`, "x"]));
  assert.ok(v.is(Labels, many(LABELS_MAX)) && !v.is(Labels, many(LABELS_MAX + 1)));
});

Deno.test("a heartbeat is a part of the record, with its time and digest", () => {
  const { id, instance, state, slots, queued, load, running, since: at } = RECORD;
  const beat: Heartbeat = { id, instance, state, slots, queued, load, running, at, digest: "1a2b" };
  assert.deepEqual(v.parse(Heartbeat, beat), beat);
  assert.ok(!v.is(Heartbeat, { ...beat, id: "nodes" }) && !v.is(Heartbeat, { ...beat, at: "soon" }));
});
