import assert from "node:assert/strict";
import { readHistory } from "./history.ts";
import { readStatus } from "./status.ts";

const ID = "24493c0dffb38317be7c8823510d41f9a26c2c05";

Deno.test("readStatus reads headers and every kind of change", () => {
  const rest = `N... 100644 100644 100644 ${ID} ${ID}`;
  const text = [
    `# branch.oid ${ID}`,
    "# branch.head main",
    "# branch.upstream origin/main",
    "# branch.ab +2 -1",
    `1 .M ${rest} a b\nc`,
    `1 A. ${rest} new`,
    `1 .D ${rest} gone`,
    `1 .T ${rest} link`,
    `2 R. ${rest} R100 to here`,
    "from there",
    `u UU N... 100644 100644 100644 100644 ${ID} ${ID} ${ID} both`,
    "? -new file",
    "",
  ].join("\0");
  assert.deepEqual(readStatus(text), {
    branch: "main",
    head: ID,
    upstream: "origin/main",
    ahead: 2,
    behind: 1,
    clean: false,
    changes: [
      { path: "a b\nc", state: "modified" },
      { path: "new", state: "added" },
      { path: "gone", state: "deleted" },
      { path: "link", state: "retyped" },
      { path: "to here", state: "renamed", from: "from there" },
      { path: "both", state: "conflicted" },
      { path: "-new file", state: "untracked" },
    ],
    truncated: false,
  });
});

Deno.test("readStatus leaves out branch and commit where there are none", () => {
  const none = { ahead: 0, behind: 0, clean: true, changes: [], truncated: false };
  assert.deepEqual(readStatus(`# branch.oid ${ID}\0# branch.head (detached)\0`), { ...none, head: ID });
  assert.deepEqual(readStatus("# branch.oid (initial)\0# branch.head main\0"), { ...none, branch: "main" });
});

Deno.test("readStatus lists a bounded number of changes and says when there are more", () => {
  const many = readStatus("? a\0".repeat(1_001));
  assert.deepEqual([many.changes.length, many.truncated, many.clean], [1_000, true, false]);
  const long = readStatus(`? ${"a".repeat(4_000)}\0`.repeat(100));
  assert.ok(long.truncated && long.changes.length < 20);
  assert.deepEqual(readStatus("? whole\0? cut of", { cut: true }).changes.map(({ path }) => path), ["whole"]);
});

Deno.test("readHistory takes whole commits alone and bounds what their authors chose", () => {
  const text = [ID, "A", "0", "s\ts", ID, "B".repeat(500), "99999999999999999", "s".repeat(5_000), ID, "cut"].join(
    "\0",
  );
  const [first, second, ...rest] = readHistory(text);
  assert.deepEqual(first, { commit: ID, author: "A", at: "1970-01-01T00:00:00.000Z", subject: "s\ts" });
  assert.ok(second !== undefined && second.author.length < 500 && second.subject.length < 5_000);
  assert.deepEqual(rest, []);
  assert.deepEqual(readHistory(""), []);
});
