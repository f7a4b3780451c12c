import assert from "node:assert/strict";
import { XtaskError } from "../../protocol/error.ts";
import { type Finding, findingsText, look } from "./finding.ts";
import { clock } from "./hub.ts";
import { permissionsText } from "./machine.ts";

Deno.test("what is thrown is wrong, with its own advice before any other", async () => {
  const advised = new XtaskError("exhausted", "The disk is full", { details: ["free some space"] });
  assert.deepEqual(await look("disk", () => Promise.reject(advised), "look elsewhere"), {
    what: "disk",
    state: "wrong",
    found: "The disk is full",
    advice: "free some space",
  });
  const bare = await look("disk", () => Promise.reject(new Error("broken")), "look elsewhere");
  assert.deepEqual([bare.state, bare.advice], ["wrong", "look elsewhere"]);
  const fine = await look("disk", () => Promise.resolve({ found: "empty", data: { freeBytes: 1 } }), "");
  assert.deepEqual(fine, { what: "disk", state: "ok", found: "empty", data: { freeBytes: 1 } });
});

Deno.test("findings are a table with the advice below each, closed by how many are wrong", () => {
  const ok: Finding = { what: "a", state: "ok", found: "fine" };
  const wrong: Finding = { what: "disk", state: "wrong", found: "full", advice: "free some" };
  assert.equal(
    findingsText([ok, wrong], false),
    "    WHAT  FOUND\nok  a     fine\nNO  disk  full\n          → free some\n\nOne thing is wrong.",
  );
  assert.match(findingsText([ok], false), /\n\nNothing is wrong\.$/);
  assert.match(findingsText([wrong, wrong], false), /\n\n2 things are wrong\.$/);
});

Deno.test("a clock is wrong only where it is surely apart by more than two seconds", () => {
  assert.equal(clock({ aheadMs: 2_400, errorMs: 500 }).state, "ok");
  assert.equal(clock({ aheadMs: -2_600, errorMs: 500 }).state, "wrong");
  assert.equal(clock({ aheadMs: -2_600, errorMs: 500 }).found, "2.6 s behind the hub's, give or take 500 ms");
});

Deno.test("permissions are told in Deno's words; many are counted", () => {
  assert.equal(
    permissionsText({ net: true, read: ["/a", "/b"], run: ["1", "2", "3"] }),
    "net any, read /a /b, run 3 of its own",
  );
  assert.equal(permissionsText({ net: false }), "none");
});
