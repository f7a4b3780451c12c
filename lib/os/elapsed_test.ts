import assert from "node:assert/strict";
import { elapsedClock } from "./elapsed.ts";

Deno.test("time passes while the machine sleeps, and is not moved by how whole seconds fall", () => {
  let [awake, up] = [5_000, 1_000];
  const now = elapsedClock({ awakeMs: () => awake, upS: () => up });
  awake += 10_300;
  up += 11;
  assert.equal(now(), 10_300);
  awake += 200;
  up += 60;
  const after = now();
  assert.ok(after >= 10_500 + 59_000 && after <= 10_500 + 61_000, String(after));
  awake += 1_000;
  assert.equal(now(), after + 1_000);
});

Deno.test("a second sleep counts too", () => {
  let [awake, up] = [0, 0];
  const now = elapsedClock({ awakeMs: () => awake, upS: () => up });
  up = 100;
  now();
  up = 200;
  assert.equal(now(), 200_000);
});

Deno.test("the system's clocks only grow", () => {
  const now = elapsedClock();
  let before = now();
  for (let n = 0; n < 1_000; n++) {
    const next = now();
    assert.ok(next >= before);
    before = next;
  }
});
