import assert from "node:assert/strict";
import { at } from "./deadline.ts";

Deno.test("a moment that has passed is acted on at once, before anything else can begin", () => {
  let acted = 0;
  using _past = at(Date.now() - 1, Date.now, () => acted++);
  assert.equal(acted, 1);
});

Deno.test("a moment that comes is acted on once", async () => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const moment = Date.now() + 20;
  using _soon = at(moment, Date.now, () => resolve(Date.now()));
  assert.ok(await promise >= moment);
});

Deno.test("a moment beyond what a timer can count is waited for", async () => {
  let acted = false;
  using _far = at(Date.now() + 60 * 24 * 60 * 60_000, Date.now, () => acted = true);
  const { promise, resolve } = Promise.withResolvers<void>();
  using _later = at(Date.now() + 20, Date.now, resolve);
  await promise;
  assert.equal(acted, false);
});

Deno.test("disposing calls it off", async () => {
  let acted = false;
  at(5, () => 0, () => acted = true)[Symbol.dispose]();
  const { promise, resolve } = Promise.withResolvers<void>();
  using _later = at(Date.now() + 25, Date.now, resolve);
  await promise;
  assert.equal(acted, false);
});
