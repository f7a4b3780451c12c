import assert from "node:assert/strict";
import fc from "fast-check";
import { duration, harmless, styled, table } from "./terminal.ts";

// deno-lint-ignore no-control-regex -- what must not reach a terminal
const DRIVING = /[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
// deno-lint-ignore no-control-regex -- the colours that may
const SGR = /\x1b\[[0-9;]*m/g;

/** Text made of what could be pieced together to something harmful, and of anything else. */
const hostile = fc.array(
  fc.oneof(
    fc.constantFrom(
      ..."\x1b \x9b \x9d \x90 [ ] P _ ^ ( \\ m 31 ; ? 2J H 52;c; \x07 \x08 \r \n \t \0 \x7f \u061c \u202e \u2066 \u200f \ue000 é 漢"
        .split(" "),
      "\x1b[31m",
      "\x1b[0m",
      "\x1b\\",
      "\ue000[31m",
      "\r\n",
      " ",
    ),
    fc.string({ unit: "binary", maxLength: 3 }),
  ),
  { maxLength: 40 },
).map((parts) => parts.join(""));

Deno.test("nothing that drives a terminal is left without colours, and colours alone with them", () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const plain = harmless(text, { color: false });
      assert.doesNotMatch(plain, DRIVING);
      const colored = harmless(text, { color: true });
      assert.doesNotMatch(colored.replaceAll(SGR, ""), DRIVING);
      assert.equal(colored.replaceAll(SGR, ""), plain, "colours add nothing but themselves");
      assert.equal(harmless(colored, { color: true }), colored, "what is harmless stays as it is");
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("text that does no harm is shown as it is", () => {
  const plain = "naïve 漢字 🎉 👩‍👩‍👧 e\u0301 עברית\ttab\nline [31m ]52;c; end";
  for (const color of [true, false]) assert.equal(harmless(plain, { color }), plain);
});

Deno.test("known tricks come to nothing", () => {
  const tricks = {
    "\x1b]52;c;cm0gLXJm\x07copied": "copied",
    "\x1b]0;title\x1b\\shown": "shown",
    "\x1b]8;;https://evil\x07link\x1b]8;;\x07": "link",
    "\x1bP+q544e\x1b\\dcs": "dcs",
    "\x1b[2J\x1b[Hcleared": "cleared",
    "\x1b[?1049hscreen": "screen",
    "\x1bcreset": "reset",
    "\x1b(0charset": "charset",
    "50%\r100%": "50%\n100%",
    "line\r\nnext": "line\nnext",
    "user\u202egpj.exe": "usergpj.exe",
    "\u009b31mC1": "31mC1",
  };
  for (const [trick, shown] of Object.entries(tricks)) assert.equal(harmless(trick, { color: true }), shown);
});

Deno.test("tables keep their columns whatever is in the cells", () => {
  const rows = [["n1", styled("online", "green", true)], ["edge\n2\x1b[2J", "b\rusy"], ["漢字é", ""]];
  assert.equal(
    table(["NODE", "STATE", "ON"], rows.map((row) => [...row, "x"])),
    [
      "NODE    STATE   ON",
      "n1      \x1b[32monline\x1b[0m  x",
      "edge 2  b usy   x",
      "漢字é             x",
    ].join("\n"),
  );
});

Deno.test("durations never count sixty of anything", () => {
  const said: Record<number, string> = {
    0: "0 ms",
    999: "999 ms",
    999.7: "1.0 s",
    59_949: "59.9 s",
    59_999: "1 min 0 s",
    119_999: "2 min 0 s",
    3_599_999: "1 h 0 min",
    7_380_000: "2 h 3 min",
  };
  for (const [ms, text] of Object.entries(said)) assert.equal(duration(Number(ms)), text);
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), (ms) => {
      assert.doesNotMatch(duration(ms), /\b60(\.0)? (?!ms)|\b1000 ms/);
    }),
  );
});
