import assert from "node:assert/strict";
import fc from "fast-check";
import { fieldsOf } from "../capability/fields.ts";
import { CAPABILITY_NAMES, loadCapability } from "../capability/registry.ts";
import { readWords } from "./read_words.ts";
import { writeWords } from "./write_words.ts";

const word = fc.oneof(
  fc.string({ minLength: 1, maxLength: 8 }),
  fc.constantFrom("--", "-v", "a b", "it's", "x=y", '"', "\\", "--on", "é"),
).filter((text) => !/[\0\s]$|^\s/.test(text));

Deno.test("what is written for a command is read back as the same command, for every verb there is", async () => {
  for (const name of CAPABILITY_NAMES) {
    const capability = await loadCapability(name);
    for (const [verb, { input: schema }] of Object.entries(capability.verbs)) {
      const values = Object.fromEntries(
        fieldsOf(schema).map(({ name, kind, required, choices }) => {
          const value = choices !== undefined ? fc.constantFrom(...choices) : {
            text: word,
            number: fc.integer({ min: -5, max: 65_535 }),
            boolean: fc.constant(true),
            list: fc.array(word, { minLength: 1, maxLength: 4 }),
            map: fc.dictionary(fc.stringMatching(/^[A-Za-z_]{1,6}$/), word, {
              minKeys: 1,
              maxKeys: 3,
              noNullPrototype: true,
            }),
          }[kind];
          return [name, required ? value : fc.option(value as fc.Arbitrary<unknown>, { nil: undefined })];
        }),
      );
      await fc.assert(
        fc.asyncProperty(fc.record(values), async (input) => {
          const line = writeWords({ capability, verb, input, on: "id=n1|n2" });
          if (line === undefined) return;
          const read = await readWords(line);
          assert.deepEqual([read.capability.name, read.verb, read.placement.on], [name, verb, "id=n1|n2"], line);
          assert.deepEqual(given(read.input as Record<string, unknown>), given(input), line);
        }),
        { numRuns: 100 },
      );
    }
  }
});

/** No list and an empty one are the same, and so is one that ends with dashes and nothing behind them. */
function given(input: Record<string, unknown>) {
  return Object.fromEntries(
    Object.entries(input).map(([name, value]) => [
      name,
      Array.isArray(value) && value.at(-1) === "--" && value.indexOf("--") === value.length - 1
        ? value.slice(0, -1)
        : value,
    ]).filter(([, value]) => value !== undefined && (value as { length?: number }).length !== 0),
  );
}

Deno.test("a command reads as somebody would type it", async () => {
  const [task, silent, port] = [
    await loadCapability("task"),
    await loadCapability("silent"),
    await loadCapability("kill-port"),
  ];
  assert.equal(
    writeWords({ capability: task, verb: "run", input: { args: ["test", "--", "-v"], vars: { A: "b c" } }, on: "all" }),
    "task run test --vars 'A=b c' --on all -- -v",
  );
  assert.equal(
    writeWords({ capability: silent, verb: "exec", input: { command: ["ls", "-la"], timeoutMs: 5 } }),
    "silent exec ls --timeout-ms 5 -- -la",
  );
  assert.equal(
    writeWords({ capability: port, verb: "kill", input: { port: 80 }, on: "n1" }),
    "kill-port kill 80 --on n1",
  );
  assert.equal(writeWords({ capability: port, verb: "nosuch", input: {} }), undefined);
});
