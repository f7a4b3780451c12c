import assert from "node:assert/strict";
import fc from "fast-check";
import { shownLine } from "./pieces.ts";
import { styleCode } from "./sgr.ts";

const text = (line: string) => shownLine(line).pieces.map((piece) => piece.text).join("");

Deno.test("colours are carried on, everything else that drives a terminal goes", () => {
  const { pieces, after } = shownLine("a\x1b[1;31mred\x1b]0;title\x07\x1b[2Jstill\x1b[0mplain\x1b[32m");
  assert.deepEqual(pieces.map(({ text, style }) => [text, styleCode(style)]), [["a", ""], ["redstill", "1;38;5;1"], [
    "plain",
    "",
  ]]);
  assert.equal(styleCode(after), "38;5;2");
  assert.equal(shownLine("goes on", after).pieces[0]?.style, after);
});

Deno.test("a carriage return goes back, and what comes then covers what was there", () => {
  assert.equal(text("10%\r50%\r100%"), "100%");
  assert.equal(text("long line\rshort"), "shortline");
  assert.equal(text("windows\r"), "windows");
  assert.equal(text("ab\bc"), "ac");
});

Deno.test("whatever a line holds, no control character is left and nothing is longer than it may be", () => {
  const parts = fc.constantFrom(
    "\x1b[",
    "\x1b]8;;http://x\x07",
    "\r",
    "\b",
    "\x9b31m",
    "m",
    "31",
    ";",
    "<b>",
    "a",
    "\0",
    "\x1b",
  );
  fc.assert(fc.property(fc.array(parts, { maxLength: 20 }), (all) => {
    // deno-lint-ignore no-control-regex -- control characters are what this is about
    assert.ok(!/[\x00-\x08\x0a-\x1f\x7f-\x9f]/.test(text(all.join(""))));
  }));
  const { pieces, cut } = shownLine("x".repeat(100_000));
  assert.deepEqual([pieces[0]?.text.length, cut], [16 * 1024, 100_000 - 16 * 1024]);
});
