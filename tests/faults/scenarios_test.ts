import assert from "node:assert/strict";
import { SCENARIOS } from "./scenarios.ts";

Deno.test("every one of the 28 fault scenarios is asserted by tests that there are, or says why not", async () => {
  assert.equal(SCENARIOS.length, 28);
  const root = new URL("../../", import.meta.url);
  const missing: string[] = [];
  for (const [at, { fault, tests, but }] of SCENARIOS.entries()) {
    assert.ok(tests.length > 0 || but !== undefined, `${at + 1} ${fault}: neither tests nor a reason`);
    for (const [file, test] of tests) {
      const text = await Deno.readTextFile(new URL(file, root)).catch(() => "");
      if (!text.includes(test)) missing.push(`${at + 1}: ${file} has no test '${test}'`);
    }
  }
  assert.deepEqual(missing, []);
});
