import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const CLI = fileURLToPath(new URL("../dist/cli.mjs", import.meta.url));
const wordcount = (...args) => spawnSync(process.execPath, [CLI, ...args], { encoding: "utf8" });

test("counts each file and their total", (t) => {
  const folder = mkdtempSync(join(tmpdir(), "wordcount-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const [a, b] = ["a.txt", "b.txt"].map((name) => join(folder, name));
  writeFileSync(a, "one two\n");
  writeFileSync(b, "three\n");
  const { status, stdout } = wordcount(a, b);
  assert.equal(status, 0);
  assert.match(stdout, /^ +1 +2 +8 .*a\.txt\n +1 +1 +6 .*b\.txt\n +2 +3 +14 total\n$/);
});

test("a file that is not there is reported and fails the run", () => {
  const { status, stderr } = wordcount("no-such-file");
  assert.equal(status, 1);
  assert.match(stderr, /no-such-file/);
});

test("without a file it tells how it is used", () => {
  const { status, stderr } = wordcount();
  assert.equal(status, 2);
  assert.match(stderr, /usage: wordcount/);
});

test("the build is stamped with the version", () => {
  assert.match(wordcount("--version").stdout, /^wordcount \d+\.\d+\.\d+\+[0-9a-f]{8}\n$/);
});
