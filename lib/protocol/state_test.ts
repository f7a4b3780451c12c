import assert from "node:assert/strict";
import fc from "fast-check";
import { isTerminal, movesForward, type State, STATES } from "./state.ts";

const state = fc.constantFrom(...STATES);

Deno.test("queued, accepted and running are the states in which something still happens", () => {
  assert.deepEqual(STATES.filter((one) => !isTerminal(one)), ["queued", "accepted", "running"]);
});

Deno.test("states only move forward: no state moves to itself, none moves back, none leaves the end", () => {
  fc.assert(fc.property(state, state, (from, to) => {
    assert.ok(!(movesForward(from, to) && movesForward(to, from)));
    assert.ok(!movesForward(from, from));
    if (isTerminal(from)) assert.ok(!movesForward(from, to));
    if (!isTerminal(from) && isTerminal(to)) assert.ok(movesForward(from, to));
  }));
});

Deno.test("whatever states are told, at most three changes lead to one end that stays", () => {
  fc.assert(fc.property(fc.array(state, { maxLength: 30 }), (told) => {
    let now: State = "queued";
    const changes: State[] = [];
    for (const next of told) if (movesForward(now, next)) changes.push(now = next);
    assert.ok(changes.length <= 3);
    assert.equal(now, told.find(isTerminal) ?? now, "the first end told is the one that stands");
  }));
});
