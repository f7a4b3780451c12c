import assert from "node:assert/strict";
import { diskOf } from "./disk.ts";

Deno.test("of several folders the disk with the least room is told, and none where one cannot be looked at", async () => {
  const { signal } = new AbortController();
  const here = await diskOf(["."])(signal);
  assert.ok(here !== undefined && here.freeBytes > 0 && here.usedBytes > 0);
  const both = await diskOf([".", Deno.build.os === "linux" ? "/proc" : "."])(signal);
  // What the kernel makes up has no room at all.
  if (Deno.build.os === "linux") assert.equal(both?.freeBytes, 0);
  assert.equal(await diskOf([".", "./no-such-folder"])(signal), undefined);
});
