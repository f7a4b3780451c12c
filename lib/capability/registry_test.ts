import assert from "node:assert/strict";
import { PLACEMENT_NAMES } from "../words/verb_command.ts";
import { RESERVED_IDS } from "../protocol/id.ts";
import type { Verb } from "./define.ts";
import { fieldsOf } from "./fields.ts";
import { CAPABILITY_NAMES, isCapabilityName, loadCapability } from "./registry.ts";

const CAPABILITIES = await Promise.all(CAPABILITY_NAMES.map(loadCapability));
const VERBS: [string, Verb][] = CAPABILITIES.flatMap(({ name, verbs }) =>
  Object.entries(verbs).map(([verb, definition]): [string, Verb] => [`${name}.${verb}`, definition])
);

Deno.test("each capability is loaded by its own name, which no node can have", () => {
  assert.deepEqual(CAPABILITIES.map(({ name }) => name), CAPABILITY_NAMES);
  for (const name of CAPABILITY_NAMES) {
    assert.ok(isCapabilityName(name));
    assert.ok(RESERVED_IDS.has(name), `${name} could be a node's id`);
  }
  for (const text of ["", "toString", "constructor", "nodes", "Task"]) assert.ok(!isCapabilityName(text), text);
});

Deno.test("everything explains itself in a line without a period", () => {
  const summaries = [
    ...CAPABILITIES.map(({ name, summary }) => [name, summary]),
    ...VERBS.map(([name, { summary }]) => [name, summary]),
  ];
  const descriptions = VERBS.flatMap(([name, { input }]) =>
    fieldsOf(input).map((field) => [`${name} ${field.name}`, field.description])
  );
  assert.ok(descriptions.length > 10);
  for (const [name, line = ""] of [...summaries, ...descriptions]) assert.match(line, /^[A-Z][^\n]*[^.\s]$/, `${name}`);
});

Deno.test("no input has a field that a command line could not tell from a flag of every command", () => {
  for (const [name, { input }] of VERBS) {
    const taken = fieldsOf(input).filter((field) =>
      [...PLACEMENT_NAMES, "help", "helpAll", "version"].includes(field.name)
    );
    assert.deepEqual(taken, [], name);
  }
});

Deno.test("inputs are strict: a misspelt field is refused rather than passed over", () => {
  for (const [name, { input }] of VERBS) assert.equal(input.type, "strict_object", name);
});

Deno.test("fields that are placed by position exist; only the last is a list, and only a list takes what is behind --", () => {
  for (const [name, { input, cli }] of VERBS) {
    const placed = [cli?.positional ?? []].flat().map((field) => {
      const found = fieldsOf(input).find((one) => one.name === field);
      assert.ok(found, `${name} has no field ${field}`);
      return found;
    });
    for (const field of placed.slice(0, -1)) assert.notEqual(field.kind, "list", name);
    if (cli?.rest !== undefined) assert.equal(placed.at(-1)?.kind, "list", name);
  }
});

Deno.test("a verb whose input is its subject's token takes a number there, and is the only one of its capability", () => {
  for (const { name, verbs } of CAPABILITIES) {
    const tokens = Object.values(verbs).filter(({ token }) => token !== undefined);
    assert.ok(tokens.length <= 1, name);
    for (const { input, token } of tokens) {
      assert.equal(fieldsOf(input).find((field) => field.name === token)?.kind, "number", name);
    }
  }
});

Deno.test("a capability with several verbs has a default one or needs one to be named", () => {
  for (const { name, verbs, defaultVerb } of CAPABILITIES) {
    if (defaultVerb !== undefined) assert.ok(Object.hasOwn(verbs, defaultVerb), name);
    assert.ok(Object.keys(verbs).length > 0, name);
  }
});
