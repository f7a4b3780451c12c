import assert from "node:assert/strict";
import fc from "fast-check";
import type { StreamMessage } from "../../nats/streams.ts";
import { HEADER } from "../../protocol/run.ts";
import { LineReader, type Place, type RawLine } from "./lines.ts";

/** Messages with the bytes cut at the given places, as a node sends them. */
function messages(
  bytes: Uint8Array<ArrayBuffer>,
  places: readonly number[],
  lost: readonly number[] = [],
): StreamMessage[] {
  const ends = [...new Set([...places.map((place) => place % (bytes.length + 1)), bytes.length])].sort((a, b) => a - b);
  return ends.flatMap((end, at) => {
    const offset = ends[at - 1] ?? 0;
    if (lost.includes(at) || end === offset) return [];
    const headers: Record<string, string> = { [HEADER.logOffset]: String(offset), [HEADER.logStream]: "out" };
    return [{
      subject: "",
      sequence: at + 1,
      time: new Date(0),
      data: bytes.slice(offset, end),
      pending: 0,
      header: (name: string) => headers[name],
    }];
  });
}

const read = (reader: LineReader, all: readonly StreamMessage[]): RawLine[] => [
  ...all.flatMap((message) => [...reader.take(message)]),
  ...reader.end(),
];
const texts = fc.array(fc.constantFrom("a", "é", "漢字", "\n", "\n", "\r", "🎉", "\x1b[31m"), { maxLength: 30 })
  .map((parts) => new TextEncoder().encode(parts.join("")));
const cuts = fc.array(fc.nat(), { maxLength: 12 });

Deno.test("lines are the same however their bytes were cut, and numbered from 0 without a gap", () => {
  fc.assert(fc.property(texts, cuts, (bytes, places) => {
    const lines = read(new LineReader(), messages(bytes, places));
    const expected = new TextDecoder().decode(bytes).split("\n");
    if (expected.at(-1) === "") expected.pop();
    assert.deepEqual(lines.map(({ text }) => text), expected);
    assert.deepEqual(lines.map(({ number }) => number), expected.map((_, at) => at));
  }));
});

Deno.test("reading that begins at any message gives the lines that begin from there on, with their numbers", () => {
  fc.assert(fc.property(texts, cuts, fc.nat(), (bytes, places, from) => {
    const all = messages(bytes, places);
    const start = all.length === 0 ? 0 : from % all.length;
    const first = new LineReader();
    for (const message of all.slice(0, start)) for (const _ of first.take(message));
    const place: Place = first.place;
    const whole = read(new LineReader(), all);
    assert.deepEqual(read(new LineReader(place), all.slice(start)), whole.slice(place.lines));
  }));
});

Deno.test("what was lost is a line of its own, and ends the one before it", () => {
  const bytes = new TextEncoder().encode("one\ntwo\nthree\n");
  const lines = read(new LineReader(), messages(bytes, [2, 9], [1]));
  assert.deepEqual(lines.map(({ number, text, gap }) => [number, text, gap]), [[0, "on", undefined], [1, "", 7], [
    2,
    "hree",
    undefined,
  ]]);
});
