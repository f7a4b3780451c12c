import assert from "node:assert/strict";
import { XtaskError } from "../protocol/error.ts";
import { explained } from "./file_error.ts";

const thrown = (code: string) => Object.assign(new Error(`${code}: mkdir '/x'`), { code });

Deno.test("a full disk and a folder that may not be written are told with what to do; a bug stays one", () => {
  const told = ["ENOSPC", "EROFS", "EACCES", "EINVAL"].map((code) => explained(thrown(code)));
  assert.deepEqual(told.map(({ code }) => code), ["exhausted", "forbidden", "forbidden", "internal"]);
  assert.deepEqual([told[0]?.message, told[0]?.details.at(-1)], [
    "ENOSPC: mkdir '/x'",
    "see what is wrong: xtask doctor",
  ]);
  const own = new XtaskError("conflict", "taken", { cause: thrown("EACCES") });
  assert.equal(explained(own), own);
  assert.equal(explained("a word").code, "internal");
});
