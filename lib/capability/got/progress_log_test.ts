import assert from "node:assert/strict";
import { progressLog } from "./progress_log.ts";

Deno.test("progress is told by steps of 10 %, at most once a second, and not at the end", () => {
  const lines: string[] = [];
  let now = 0;
  const tell = progressLog({ log: (text) => lines.push(text), now: () => now });
  for (let bytes = 0; bytes <= 1000; bytes++) {
    now += 20;
    tell(bytes, 1000);
  }
  assert.equal(lines[0], "10 % of 1000 bytes");
  assert.equal(lines.length, 9);
  const tellAtOnce = progressLog({ log: (text) => lines.push(text), now: () => now });
  for (let bytes = 0; bytes <= 1000; bytes++) tellAtOnce(bytes, 1000);
  assert.equal(lines.length, 9, "no time has passed");
});

Deno.test("where no total is known there is a line every ten seconds", () => {
  const lines: string[] = [];
  let now = 0;
  const tell = progressLog({ log: (text) => lines.push(text), now: () => now });
  for (; now <= 60_000; now += 100) tell(now, undefined);
  assert.deepEqual(lines.slice(0, 2), ["10000 bytes", "20000 bytes"]);
  assert.equal(lines.length, 6);
});
