import assert from "node:assert/strict";
import type { Metrics } from "../lib/protocol/metrics.ts";
import { fleetFrame, type FleetNode } from "./fleet.tsx";
import { patchesBetween } from "./frame.ts";

const nodeOf = (id: string): FleetNode => ({
  record: {
    id,
    instance: "a",
    hostname: "machine",
    platform: { os: "linux", arch: "amd64" },
    labels: {},
    version: "1",
    capabilities: [],
    tasks: [],
    slots: { total: 2, free: 1 },
    queued: 0,
    load: { one: 0.5, cores: 2, memoryBytes: 1, memoryFreeBytes: 1 },
    state: "online",
    since: "2026-01-01T00:00:00.000Z",
    link: { mode: "leaf", up: true },
    running: [],
  },
  runs: [],
  waiting: [],
  samples: [],
});

Deno.test("a card is made anew when anything that it shows is new, and only then", () => {
  const [one, other] = [nodeOf("n1"), nodeOf("n2")];
  const shown = (...nodes: FleetNode[]) => fleetFrame({ nodes, total: 2 });
  const before = shown(one, other);
  assert.deepEqual(patchesBetween([before], [shown({ ...one }, other)]), []);
  const samples = [{ load: 1 }, { load: 2 }] as unknown as Metrics[];
  const news: [Partial<FleetNode>, RegExp][] = [
    [{ record: { ...one.record, state: "draining" } }, /takes no new commands/],
    [{ runs: [{ id: "01JAAAAAAAAAAAAAAAAAAAAAAA", words: "task run build" }] }, /task run build/],
    [{ waiting: [{ id: "01JAAAAAAAAAAAAAAAAAAAAAAA", words: "task run late" }] }, /waits:.*task run late/],
    [{ samples }, /polyline/],
  ];
  for (const [change, words] of news) {
    const [patch = "", ...more] = patchesBetween([before], [shown({ ...one, ...change }, other)]);
    assert.match(patch, words);
    assert.deepEqual(more, [], "the other card stays");
  }
});
