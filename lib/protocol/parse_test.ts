import assert from "node:assert/strict";
import fc from "fast-check";
import * as v from "valibot";
import { XtaskError } from "./error.ts";
import { parse, parseJson } from "./parse.ts";

const Input = v.strictObject({
  names: v.array(v.pipe(v.string(), v.minLength(1, "expected a name"))),
  dir: v.optional(v.string(), "."),
});

Deno.test("what is taken comes back with its defaults", () => {
  assert.deepEqual(parseJson(Input, '{"names":["a"]}', "input"), { names: ["a"], dir: "." });
});

Deno.test("what is refused is named by its path, and fields that nobody knows are refused too", () => {
  const error = thrownBy(() => parse(Input, { names: ["a", ""], extra: 1 }, "input of which.check"));
  assert.equal(error.code, "invalid");
  assert.equal(error.message, "The input of which.check is not valid");
  assert.ok(error.details.includes("names.1: expected a name"), error.details.join("; "));
  assert.ok(error.details.some((line) => line.startsWith("extra:")), error.details.join("; "));
});

Deno.test("a flood of problems is told by its first twenty", () => {
  const error = thrownBy(() => parse(Input, { names: Array.from({ length: 5_000 }, () => 7) }, "input"));
  assert.equal(error.details.length, 20);
  assert.match(error.details[0] ?? "", /^names\.0: /);
});

Deno.test("any text is taken or refused as invalid, and pollutes nothing", () => {
  const text = fc.oneof(
    fc.string(),
    fc.json(),
    fc.constantFrom("", "{", '{"__proto__":{"x":1}}', '{"names":[],"__proto__":null}', "[".repeat(10_000)),
  );
  fc.assert(fc.property(text, (body) => {
    try {
      const { names, dir } = parseJson(Input, body, "input");
      assert.ok(Array.isArray(names) && typeof dir === "string");
    } catch (error) {
      assert.ok(error instanceof XtaskError && error.code === "invalid", String(error));
    }
    assert.equal(({} as { x?: unknown }).x, undefined);
  }));
});

function thrownBy(act: () => unknown): XtaskError {
  try {
    act();
  } catch (error) {
    if (error instanceof XtaskError) return error;
    throw error;
  }
  throw new Error("Nothing was thrown");
}
