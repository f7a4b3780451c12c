import assert from "node:assert/strict";
import { pause } from "./pause.ts";

Deno.test("pause() waits for as long as it is told", async () => {
  const begun = performance.now();
  await pause(30, new AbortController().signal);
  assert.ok(performance.now() - begun >= 29);
});

Deno.test("pause() ends with its signal, be it fired before or meanwhile, and leaves no timer", async () => {
  const begun = performance.now();
  await pause(60_000, AbortSignal.abort());
  const abort = new AbortController();
  const waiting = pause(60_000, abort.signal);
  abort.abort();
  await waiting;
  assert.ok(performance.now() - begun < 5_000);
});
