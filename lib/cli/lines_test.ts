import assert from "node:assert/strict";
import fc from "fast-check";
import { LineWriter } from "./lines.ts";
import { createShell, type Shell } from "./shell.ts";

/** A shell without colours, and what was written to it. */
function written() {
  const text = { out: "", err: "" };
  const shell: Shell = {
    ...createShell([]),
    color: false,
    process: {
      stdout: { write: (one) => void (text.out += one) },
      stderr: { write: (one) => void (text.err += one) },
      env: {},
    },
  };
  return { shell, text };
}

const bytesOf = (text: string) => new TextEncoder().encode(text);

/** The bytes cut at the given places. */
function cut(bytes: Uint8Array<ArrayBuffer>, places: readonly number[]): Uint8Array<ArrayBuffer>[] {
  const ends = [...new Set([...places.map((place) => place % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return ends.map((end, index) => bytes.slice(ends[index - 1] ?? 0, end));
}

const line = fc.oneof(
  fc.string({ unit: "grapheme", maxLength: 12 }).map((text) => text.replaceAll(/[\r\n]/g, "")),
  fc.constantFrom("", "漢字 🎉", "\x1b[31mred\x1b[0m", "\x1b]0;title\x07x", "50%\r100%"),
);

Deno.test("of several nodes every line is whole and named, however its bytes were cut and mixed", () => {
  fc.assert(
    fc.property(
      fc.array(line, { maxLength: 6 }),
      fc.array(line, { maxLength: 6 }),
      fc.array(fc.nat(), { maxLength: 10 }),
      (first, second, places) => {
        const { shell, text } = written();
        const writer = new LineWriter(shell, ["a", "edge"]);
        const ways = [{ node: "a", lines: first }, { node: "edge", lines: second }].map(({ node, lines }) => ({
          node,
          chunks: cut(bytesOf(lines.map((one) => `${one}\n`).join("")), places),
        }));
        for (let at = 0; at < 12; at++) {
          for (const { node, chunks } of ways) {
            const chunk = chunks[at];
            if (chunk !== undefined) writer.write(node, "out", chunk);
          }
        }
        writer.endAll();
        const shown = (lines: readonly string[]) => {
          const alone = written();
          const whole = new LineWriter(alone.shell, ["x"]);
          for (const one of lines) whole.write("x", "out", bytesOf(`${one}\n`));
          return alone.text.out.split("\n").slice(0, -1).map((one) => one.slice("x │ ".length));
        };
        const lines = text.out.split("\n");
        assert.equal(lines.pop(), "", "the last line is ended");
        const of = (prefix: string) =>
          lines.filter((one) => one.startsWith(prefix)).map((one) => one.slice(prefix.length));
        assert.deepEqual(of("a    │ "), shown(first));
        assert.deepEqual(of("edge │ "), shown(second));
        assert.equal(of("a    │ ").length + of("edge │ ").length, lines.length, "no line is without its node");
        assert.doesNotMatch(text.out, /[^\P{Cc}\n\t]/u);
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("one node's output is shown as it comes, without a name, each stream in its place", () => {
  const { shell, text } = written();
  const writer = new LineWriter(shell, []);
  writer.write("n1", "out", bytesOf("50%"));
  assert.equal(text.out, "50%");
  const [head, rest] = [bytesOf("é").slice(0, 1), bytesOf("é!\n").slice(1)];
  writer.write("n1", "out", head);
  writer.write("n1", "err", bytesOf("warning\x07\n"));
  writer.write("n1", "out", rest);
  writer.endAll();
  assert.deepEqual(text, { out: "50%é!\n", err: "warning\n" });
});

Deno.test("what a node leaves without a line end is shown when it ends, once", () => {
  const { shell, text } = written();
  const writer = new LineWriter(shell, ["a", "b"]);
  writer.write("a", "out", bytesOf("out rest"));
  writer.write("a", "err", bytesOf("err rest"));
  writer.write("b", "out", bytesOf("still going"));
  assert.deepEqual(text, { out: "", err: "" });
  writer.end("a");
  writer.end("a");
  assert.deepEqual(text, { out: "a │ out rest\n", err: "a │ err rest\n" });
  writer.endAll();
  assert.equal(text.out, "a │ out rest\nb │ still going\n");
});

Deno.test("a line that never ends is shown in pieces, none of it lost or kept for long", () => {
  const { shell, text } = written();
  const writer = new LineWriter(shell, ["a", "b"]);
  const chunk = bytesOf("x".repeat(10_000));
  let kept = 0;
  for (let at = 1; at <= 50; at++) {
    writer.write("a", "out", chunk);
    kept = Math.max(kept, at * 10_000 - (text.out.match(/x/g) ?? []).length);
  }
  writer.endAll();
  assert.equal((text.out.match(/x/g) ?? []).length, 500_000);
  assert.ok(kept < 80_000, `${kept} characters were kept`);
});

Deno.test("one node's output is the same however its bytes were cut", () => {
  const output = fc.array(fc.oneof(line, fc.constantFrom("\r\n", "\n", "\r", "\x1b[1;32m", "\x1b]8;;", "\x1b", "é")), {
    maxLength: 8,
  }).map((parts) => bytesOf(parts.join("")));
  const shown = (chunks: readonly Uint8Array<ArrayBuffer>[]) => {
    const { shell, text } = written();
    const writer = new LineWriter(shell, []);
    for (const chunk of chunks) writer.write("a", "out", chunk);
    writer.end("a");
    return text.out;
  };
  fc.assert(
    fc.property(output, fc.array(fc.nat(), { maxLength: 10 }), (bytes, places) => {
      assert.equal(shown(cut(bytes, places)), shown([bytes]));
    }),
    { numRuns: 1_000 },
  );
});

Deno.test("a character that never becomes whole is told of by the sign for it", () => {
  const { shell, text } = written();
  const writer = new LineWriter(shell, []);
  writer.write("a", "out", bytesOf("é").slice(0, 1));
  writer.endAll();
  assert.equal(text.out, "\ufffd");
});
