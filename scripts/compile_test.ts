import assert from "node:assert/strict";
import { XtaskError } from "../lib/protocol/error.ts";
import { assertWithinBudget } from "./compile.ts";
import { TARGETS } from "./targets.ts";

Deno.test("an executable may be 10 % over its budget and no more", () => {
  for (const target of TARGETS) {
    const most = Math.floor(target.budgetMB * 1.1 * 1e6);
    assertWithinBudget("dist/xtask", most, target);
    assert.throws(() => assertWithinBudget("dist/xtask", most + 1_000, target), (error) => {
      assert.ok(error instanceof XtaskError && error.code === "exhausted");
      assert.match(error.message, /^xtask is \d+\.\d MB, more than 10 % over its budget of \d+ MB$/);
      return true;
    });
  }
});
