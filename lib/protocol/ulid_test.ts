import assert from "node:assert/strict";
import { isUlid, newUlid } from "./ulid.ts";

Deno.test("a ULID begins with its time and ends with 80 bits that differ", () => {
  assert.equal(newUlid(0).slice(0, 10), "0000000000");
  assert.equal(newUlid(2 ** 48 - 1).slice(0, 10), "7ZZZZZZZZZ");
  const ids = Array.from({ length: 1_000 }, () => newUlid(1_469_918_176_385));
  assert.ok(ids.every((id) => isUlid(id) && id.startsWith("01ARYZ6S41")));
  assert.equal(new Set(ids).size, ids.length);
  const digits = new Set(ids.flatMap((id) => [...id.slice(10)]));
  assert.equal([...digits].sort().join(""), "0123456789ABCDEFGHJKMNPQRSTVWXYZ");
});

Deno.test("ULIDs sort by their time", () => {
  const times = [1, 31, 32, 1_000_000, 1_000_001, 1_795_484_336_534];
  const ids = times.map(newUlid);
  assert.deepEqual([...ids].sort(), ids);
});
