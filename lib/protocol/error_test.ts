import assert from "node:assert/strict";
import fc from "fast-check";
import { ERROR_CODES, type ErrorCode, WireError, XtaskError } from "./error.ts";
import { parseJson } from "./parse.ts";

const CODES = Object.keys(ERROR_CODES) as ErrorCode[];

Deno.test("every code has an HTTP status of its own, and an exit code that a shell can carry and that is no success", () => {
  assert.equal(new Set(CODES.map((code) => ERROR_CODES[code].http)).size, CODES.length);
  for (const code of CODES) {
    const { http, exit, retry } = ERROR_CODES[code];
    assert.ok(http >= 400 && http < 600 && exit > 1 && exit < 256, code);
    assert.equal(exit === 75, retry, `${code}: 75 is what shells read as "try again later"`);
  }
});

Deno.test("an error survives the wire but for its cause and stack", () => {
  fc.assert(fc.property(fc.constantFrom(...CODES), fc.string(), fc.array(fc.string()), (code, message, details) => {
    const sent = new XtaskError(code, message, { details, cause: new Error("secret-cause") });
    const text = JSON.stringify(sent.toWire());
    assert.ok(!text.includes("secret-cause") && !text.includes("error_test.ts"));
    const got = XtaskError.fromWire(parseJson(WireError, text, "error"));
    assert.deepEqual([got.code, got.message, got.details], [code, message, details]);
    assert.equal(got.cause, undefined);
  }));
});

Deno.test("whatever is thrown becomes an XtaskError with a code that fits", () => {
  const known = new XtaskError("conflict", "There already");
  assert.equal(XtaskError.from(known), known);
  assert.equal(XtaskError.from(new DOMException("late", "TimeoutError")).code, "timeout");
  assert.equal(XtaskError.from(new DOMException("stop", "AbortError")).code, "cancelled");
  fc.assert(fc.property(fc.anything({ withNullPrototype: true }), (thrown) => {
    const error = XtaskError.from(thrown);
    assert.equal(error.code, "internal");
    assert.deepEqual(error.details, []);
  }));
});
