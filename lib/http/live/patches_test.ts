import assert from "node:assert/strict";
import fc from "fast-check";
import { Patches } from "./patches.ts";

/** The events of a stream, as the standard tells: a line ends at CR LF, LF or CR. */
function eventsOf(text: string): { event: string; data: string[] }[] {
  return text.split(/(?:\r\n|\n|\r){2}/).filter((block) => block !== "").map((block) => {
    const lines = block.split(/\r\n|\n|\r/);
    return {
      event: lines.find((line) => line.startsWith("event: "))?.slice(7) ?? "",
      data: lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6)),
    };
  });
}

const hostile = fc.array(
  fc.constantFrom(
    "\r",
    "\n",
    "\r\n",
    "\0",
    "\u2028",
    "event: datastar-patch-signals",
    "data: signals {x: alert(1)}",
    "<b>",
    "x",
    " ",
  ),
  { maxLength: 12 },
).map((parts) => `a${parts.join("")}`);

Deno.test("output that holds carriage returns begins no event of its own", () => {
  const patches = new Patches();
  patches.patchElements("<p>50%\r\revent: datastar-patch-signals\rdata: signals {x: fetch('/')}\r\r</p>");
  assert.deepEqual(eventsOf(patches.take()).map(({ event }) => event), ["datastar-patch-elements"]);
});

Deno.test("whatever elements, selectors, signals and ids hold, each call is one event of its own kind", () => {
  fc.assert(fc.property(hostile, hostile, hostile, (html, selector, id) => {
    const patches = new Patches();
    patches.patchElements(html, { selector, mode: "append", eventId: id });
    patches.patchSignals(JSON.stringify({ text: html }), { eventId: id });
    const text = patches.take();
    assert.ok(!/[\r\0\u2028]/.test(text));
    assert.deepEqual(eventsOf(text).map(({ event }) => event), ["datastar-patch-elements", "datastar-patch-signals"]);
    assert.equal(patches.take(), "");
  }));
});
