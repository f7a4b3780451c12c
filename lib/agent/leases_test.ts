import assert from "node:assert/strict";
import { newCommandId } from "../protocol/id.ts";
import { Leases } from "./leases.ts";

Deno.test("a run that has ended before its lease begins waits for nothing", async () => {
  using leases = new Leases({ renew: () => new Promise<never>(() => {}), elapsed: () => performance.now() });
  const signal = AbortSignal.abort(new Error("its deadline has passed"));
  const run = { signal, onStop: () => {}, onKill: () => {} };
  const { begun, end } = leases.take({ id: newCommandId(), epoch: 1, leaseMs: 15_000 }, run);
  await assert.rejects(begun, /its deadline has passed/);
  end(true);
});
