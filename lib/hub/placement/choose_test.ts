import assert from "node:assert/strict";
import { parseSelector } from "../../protocol/selector.ts";
import { type Candidate, choose, roomOf } from "./choose.ts";

function node(id: string, free: number, more: Partial<Candidate> = {}): Candidate {
  return {
    id,
    hostname: id,
    platform: { os: "linux", arch: "amd64" },
    labels: {},
    capabilities: [{ name: "task", verbs: ["run"] }],
    state: free > 0 ? "online" : "busy",
    slots: { total: 4, free },
    queued: 0,
    load: { one: 1, cores: 4, memoryBytes: 1, memoryFreeBytes: 1 },
    running: [],
    leases: true,
    ...more,
  };
}

const sought = { capability: "task", matches: parseSelector("os=linux") };
const nothing = () => [];

Deno.test("the node with most free slots is chosen, of those that are meant, there and able", () => {
  const nodes = [
    node("few", 1),
    node("most", 3),
    node("other", 4, { platform: { os: "darwin", arch: "arm64" } }),
    node("unable", 4, { capabilities: [] }),
    node("leaving", 4, { state: "draining" }),
    node("gone", 4, { state: "offline" }),
    // Of a version before there were leases: it would run on without one.
    node("old", 4, { leases: undefined }),
  ];
  assert.equal(choose(nodes, sought, nothing), "most");
});

Deno.test("where no slot is free none is chosen: it waits for whichever is free first", () => {
  assert.equal(choose([node("full", 0)], sought, nothing), undefined);
});

Deno.test("what a node was given takes its slots until it tells of it itself", () => {
  assert.equal(roomOf(node("n1", 2, { running: ["a"] }), ["a", "b"]), 1);
  assert.equal(choose([node("n1", 2), node("n2", 1)], sought, (id) => id === "n1" ? ["a", "b"] : []), "n2");
});

Deno.test("the node that lost it is chosen where there is no other", () => {
  assert.equal(choose([node("n1", 4), node("n2", 1)], sought, nothing, "n1"), "n2");
  assert.equal(choose([node("n1", 4)], sought, nothing, "n1"), "n1");
});
