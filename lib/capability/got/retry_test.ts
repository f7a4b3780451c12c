import assert from "node:assert/strict";
import fc from "fast-check";
import { pauseMs, retryAfterMs } from "./retry.ts";

Deno.test("pauses double, are spread over their upper half, and stay within 30 s", () => {
  fc.assert(fc.property(fc.nat(200), fc.nat(999), (fruitless, thousandths) => {
    const ms = pauseMs(fruitless, 500, thousandths / 1000);
    const most = Math.min(30_000, 500 * 2 ** Math.max(0, fruitless - 1));
    assert(ms >= most / 2 && ms <= most, `${ms}`);
  }));
});

Deno.test("Retry-After is read as seconds or as a date, and otherwise not at all", () => {
  const now = Date.parse("2030-01-01T00:00:00Z");
  assert.equal(retryAfterMs("7", now), 7000);
  assert.equal(retryAfterMs("Tue, 01 Jan 2030 00:00:05 GMT", now), 5000);
  assert.equal(retryAfterMs("Mon, 31 Dec 2029 00:00:00 GMT", now), 0);
  for (const header of [undefined, "soon", "-5", ""]) assert.equal(retryAfterMs(header, now), undefined);
});
