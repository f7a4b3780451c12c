import assert from "node:assert/strict";
import * as v from "valibot";
import { fieldsOf } from "./fields.ts";

Deno.test("fields are read off a schema however it is wrapped", () => {
  const schema = v.pipe(
    v.strictObject({
      plain: v.string(),
      piped: v.pipe(v.string(), v.minLength(1), v.description("Inside")),
      outside: v.pipe(v.optional(v.string()), v.description("Outside")),
      inside: v.optional(v.pipe(v.number(), v.description("Inside"))),
      both: v.pipe(v.optional(v.pipe(v.number(), v.description("Inside")), 7), v.description("Outside")),
      either: v.nullish(v.boolean(), false),
      one: v.optional(v.pipe(v.picklist(["a", "b"]), v.description("Choice")), "a"),
      many: v.pipe(v.array(v.pipe(v.string(), v.maxLength(3))), v.minLength(1), v.description("List")),
      named: v.optional(v.record(v.string(), v.string())),
      made: v.optional(v.array(v.string()), () => []),
    }),
    v.check(() => true),
  );
  assert.deepEqual(fieldsOf(schema), [
    { name: "plain", kind: "text", required: true, description: "" },
    { name: "piped", kind: "text", required: true, description: "Inside" },
    { name: "outside", kind: "text", required: false, description: "Outside" },
    { name: "inside", kind: "number", required: false, description: "Inside" },
    { name: "both", kind: "number", required: false, description: "Outside", default: 7 },
    { name: "either", kind: "boolean", required: false, description: "", default: false },
    { name: "one", kind: "text", required: false, description: "Choice", choices: ["a", "b"], default: "a" },
    { name: "many", kind: "list", required: true, description: "List" },
    { name: "named", kind: "map", required: false, description: "" },
    { name: "made", kind: "list", required: false, description: "" },
  ]);
});

Deno.test("what cannot be typed on a command line is a mistake of the definition", () => {
  assert.throws(() => fieldsOf(v.string()), TypeError);
  assert.throws(() => fieldsOf(v.object({ when: v.date() })), /field 'when' .* 'date'/);
});
