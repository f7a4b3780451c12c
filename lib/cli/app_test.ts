import assert from "node:assert/strict";
import { proposeCompletions } from "@stricli/core";
import { fieldsOf } from "../capability/fields.ts";
import { CAPABILITY_NAMES, loadCapability } from "../capability/registry.ts";
import { buildXtask, BUILT_IN_NAMES } from "./app.ts";
import { PLACEMENT_NAMES } from "../words/verb_command.ts";
import { createShell } from "./shell.ts";

const capabilities = await Promise.all(CAPABILITY_NAMES.map(loadCapability));
const app = buildXtask({ capabilities, builtIns: BUILT_IN_NAMES }, false);

/** What may follow these words, beginning with `start`, as completion tells it. */
async function offered(before: readonly string[], start = ""): Promise<string[]> {
  const proposals = await proposeCompletions(app, [...before, start], createShell([]));
  return proposals.map(({ completion }) => completion).filter((word) => word.startsWith("-") === start.startsWith("-"));
}

const kebab = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

Deno.test("the command line has exactly the capabilities and verbs that there are, beside its own commands", async () => {
  assert.deepEqual((await offered([])).sort(), [...CAPABILITY_NAMES, ...BUILT_IN_NAMES].sort());
  for (const { name, verbs } of capabilities) {
    assert.deepEqual((await offered([name])).sort(), Object.keys(verbs).sort(), name);
  }
});

Deno.test("no capability takes the name of one of the program's own commands", () => {
  for (const name of [...CAPABILITY_NAMES, "run"]) assert.ok(!BUILT_IN_NAMES.includes(name), name);
});

Deno.test("a verb's command takes each field once, by place or by flag, and the flags that all have", async () => {
  for (const { name, verbs } of capabilities) {
    for (const [verbName, { input, cli }] of Object.entries(verbs)) {
      const placed = [cli?.positional ?? []].flat();
      const flagged = fieldsOf(input).map((field) => field.name).filter((field) => !placed.includes(field));
      const wanted = [...flagged, ...PLACEMENT_NAMES].map((flag) => `--${kebab(flag)}`);
      const flags = (await offered([name, verbName], "--")).filter((flag) => !flag.startsWith("--help"));
      assert.deepEqual(flags.sort(), wanted.sort(), `${name} ${verbName}`);
    }
  }
});
