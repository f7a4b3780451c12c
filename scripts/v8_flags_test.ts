import assert from "node:assert/strict";
import { V8_FLAGS } from "./v8_flags.ts";

Deno.test("the tasks that start xtask start it with the flags of V8", async () => {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../deno.json", import.meta.url)));
  for (const name of ["up", "xtask"]) assert.ok(tasks[name].command.includes(` ${V8_FLAGS} `), name);
});
