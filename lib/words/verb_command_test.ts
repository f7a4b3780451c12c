import assert from "node:assert/strict";
import * as v from "valibot";
import { verb, type VerbCli } from "../capability/define.ts";
import { fieldsOf } from "../capability/fields.ts";
import task from "../capability/task.ts";
import { parse } from "../protocol/parse.ts";
import { inputOf } from "./verb_command.ts";

const INPUT = v.strictObject({
  image: v.string(),
  count: v.optional(v.number()),
  quiet: v.optional(v.boolean()),
  args: v.optional(v.array(v.string()), []),
  env: v.optional(v.record(v.string(), v.string())),
});

/** The input that these words and flags give. */
function typed(
  cli: VerbCli,
  args: readonly string[],
  flags: Record<string, unknown> = {},
  rest: readonly string[] = [],
) {
  const definition = verb({
    summary: "X",
    effect: "read",
    input: INPUT,
    output: v.unknown(),
    cli,
    run: () => Promise.resolve(),
  });
  const fields = fieldsOf(INPUT);
  const positional = [cli.positional ?? []].flat().map((name) => fields.find((field) => field.name === name)!);
  return inputOf(rest, fields, positional, definition, flags, args);
}

Deno.test("words become the fields placed by position, flags the others, in the types of their fields", () => {
  assert.deepEqual(
    typed({ positional: ["image", "args"] }, ["alpine", "echo", "a b"], {
      count: "7",
      quiet: true,
      env: ["A=b=c", "E="],
      json: true,
      on: "n1",
    }),
    { image: "alpine", args: ["echo", "a b"], count: 7, quiet: true, env: { A: "b=c", E: "" } },
  );
  assert.deepEqual(typed({ positional: "image" }, ["alpine"], {}), { image: "alpine" });
});

Deno.test("what stands behind -- is added to the last list, with the dashes where the definition keeps them", () => {
  const args = (rest: VerbCli["rest"], behind: string[]) =>
    typed({ positional: "args", ...(rest === undefined ? {} : { rest }) }, ["a"], {}, behind).args;
  assert.deepEqual(args("append", ["-x", "--on"]), ["a", "-x", "--on"]);
  assert.deepEqual(args("keep-dashes", ["-x"]), ["a", "--", "-x"]);
  assert.deepEqual(args("keep-dashes", []), ["a"]);
  assert.throws(() => args(undefined, ["-x"]), { code: "invalid" });
});

Deno.test("what is no number and no NAME=VALUE is refused before anything is asked", () => {
  for (const count of ["", " ", "seven", "1,5"]) {
    assert.throws(() => typed({}, [], { count }), { code: "invalid" }, count);
  }
  for (const env of ["A", "=b", ""]) assert.throws(() => typed({}, [], { env: [env] }), { code: "invalid" }, env);
});

Deno.test("a line of xtask task gives Task's own arguments", () => {
  const { run } = task.verbs;
  assert.ok(run);
  const fields = fieldsOf(run.input);
  const positional = fields.filter(({ name }) => name === "args");
  const input = inputOf(["--fast"], fields, positional, run, { vars: ["A=1"] }, ["build", "B=2"]);
  assert.deepEqual(parse(run.input, input, "input"), { args: ["build", "B=2", "--", "--fast"], vars: { A: "1" } });
});
