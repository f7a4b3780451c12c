import assert from "node:assert/strict";
import config from "../../deno.json" with { type: "json" };
import { VERSION } from "./version.ts";

Deno.test("the version that nodes tell is the package's", () => {
  assert.equal(VERSION, config.version);
});
