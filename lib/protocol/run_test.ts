import assert from "node:assert/strict";
import * as v from "valibot";
import { Event } from "./event.ts";
import { newCommandId } from "./id.ts";
import { HEADER, isUnended, type Refusal, Reply, Result, RunQuery } from "./run.ts";
import { isTerminal, STATES } from "./state.ts";

const ID = newCommandId(1_700_000_000_000);
const AT = "2026-01-01T00:00:00.000Z";
const RESULT: Result = {
  id: ID,
  node: "n1",
  capability: "task",
  verb: "run",
  attempt: 1,
  state: "failed",
  exitCode: 7,
  acceptedAt: AT,
  startedAt: AT,
  finishedAt: AT,
  durationMs: 12,
  output: { head: "a", tail: "", bytes: 1, lines: 1, truncated: false },
  error: { code: "timeout", message: "Too long" },
};
const ONGOING: Reply = { id: ID, node: "n1", state: "running", logs: "xtask.logs.n1.x", results: "xtask.results.x" };
const REFUSAL: Refusal = { id: "x", node: "n1", state: "refused", error: { code: "invalid", message: "No" } };

Deno.test("each kind of answer survives the wire as that kind", () => {
  for (const reply of [RESULT, ONGOING, REFUSAL]) {
    const got = v.parse(Reply, JSON.parse(JSON.stringify(reply)));
    assert.deepEqual(got, reply);
    assert.equal(isUnended(got), reply === ONGOING);
  }
});

Deno.test("a result has exactly the states that a run can end in; its event also that of what a node refused to begin", () => {
  const event = { type: "command_result", at: AT, node: "n1", command: ID, attempt: 1, durationMs: 1 };
  for (const state of STATES) {
    const endsARun = isTerminal(state) && state !== "refused";
    assert.equal(v.is(Result, { ...RESULT, state }), endsARun, state);
    assert.equal(v.is(Event, { ...event, state }), isTerminal(state), state);
  }
});

Deno.test("an event is one of the known types and names a real command", () => {
  const about = { at: AT, node: "n1", command: ID, attempt: 1 };
  assert.ok(v.is(Event, { type: "command_started", ...about }));
  assert.ok(v.is(Event, { type: "command_accepted", ...about, capability: "task", verb: "run", input: { args: [] } }));
  assert.ok(v.is(Event, { type: "node_left", at: AT, node: "n1", reason: "its agent was stopped" }));
  for (
    const wrong of [{ type: "command_stopped" }, { command: "01" }, { command: ID.toLowerCase() }, { at: "now" }, {
      attempt: "1",
    }]
  ) {
    assert.ok(!v.is(Event, { type: "command_started", ...about, ...wrong }), JSON.stringify(wrong));
  }
  assert.ok(!v.is(Event, { type: "alert", at: AT, node: "n1", severity: "loud", message: "" }));
});

Deno.test("a question about a run is its id and nothing else", () => {
  assert.ok(v.is(RunQuery, { id: ID }));
  for (const input of [{}, { id: "x" }, { id: ID, force: true }, null]) assert.ok(!v.is(RunQuery, input));
});

Deno.test("headers have names of their own, in the form that NATS keeps", () => {
  const names = Object.values(HEADER);
  assert.equal(new Set(names.map((name) => name.toLowerCase())).size, names.length);
  for (const name of names) assert.match(name, /^[A-Z][a-z]+(-[A-Z][a-z]+)+$/);
});
