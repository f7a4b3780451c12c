import assert from "node:assert/strict";
import { type Frame, patchesBetween } from "./frame.ts";

const frameOf = (rows: Readonly<Record<string, string>>, title = "Nodes"): Frame => {
  const parts = Object.entries(rows).map(([id, text]) => ({ id, html: `<li id="${id}">${text}</li>` }));
  return { id: "list", parts, html: `<ul id="list" title="${title}">${parts.map(({ html }) => html).join("")}</ul>` };
};

Deno.test("what stays the same is not sent; one part that changes is sent alone", () => {
  const before = frameOf({ a: "1", b: "2" });
  assert.deepEqual(patchesBetween([before], [frameOf({ a: "1", b: "2" })]), []);
  assert.deepEqual(patchesBetween([before], [frameOf({ a: "1", b: "3" })]), ['<li id="b">3</li>']);
});

Deno.test("a part that comes, goes or moves, and what stands around them, sends the whole", () => {
  const before = frameOf({ a: "1", b: "2" });
  for (const after of [frameOf({ a: "1" }), frameOf({ b: "2", a: "1" }), frameOf({ a: "1", b: "2" }, "Machines")]) {
    assert.deepEqual(patchesBetween([before], [after]), [after.html]);
  }
  assert.deepEqual(patchesBetween([], [before]), [before.html]);
});
