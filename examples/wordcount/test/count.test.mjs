import assert from "node:assert/strict";
import { test } from "node:test";
import { count, total } from "../dist/count.mjs";

const of = (text) => count(new TextEncoder().encode(text));

test("an empty text has nothing to count", () => {
  assert.deepEqual(of(""), { lines: 0, words: 0, bytes: 0 });
});

test("white space of any kind and length separates words", () => {
  assert.deepEqual(of("  one\ttwo \n\n three\r\n"), { lines: 3, words: 3, bytes: 20 });
});

test("bytes are counted, not characters", () => {
  assert.deepEqual(of("größer"), { lines: 0, words: 1, bytes: 8 });
});

test("a total is the sum of its counts", () => {
  assert.deepEqual(total([of("a b\n"), of("c")]), { lines: 1, words: 3, bytes: 5 });
});
