import assert from "node:assert/strict";
import { connect } from "../../lib/client/connect.ts";
import type { MovingEvent } from "../../lib/client/follow_moving.ts";
import { controlNode } from "../../lib/client/control.ts";
import { connectFleet } from "../../lib/client/fleet.ts";
import { DRAIN_MS } from "../../lib/protocol/limits.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { lastOf, STREAM } from "../../lib/nats/streams.ts";
import { hubSubject, inboxPrefix, leaseRenewSubject, storedResult } from "../../lib/protocol/subjects.ts";
import { toldText } from "../counting.ts";
import { ask, refused } from "../asking.ts";
import { startFleet, temporaryFolder } from "../fleet.ts";
import { assertApart, attemptsIn, beating, handBack, inState, letEnd, recordOf, running, submit } from "../moving.ts";
import { until } from "../until.ts";

const LEASE_MS = 3_000;

/** A fleet, a folder where its runs leave their marks, and the person who started it. */
async function ground(stack: AsyncDisposableStack, nodes: readonly string[]) {
  const folder = await temporaryFolder(stack);
  const all = stack.use(await startFleet({ nodes, leaseMs: LEASE_MS, taskfile: beating(folder), allow: ["task"] }));
  const fleet = stack.use(await connectFleet({ servers: all.url, creds: all.up.adminCreds }));
  return { folder, all, fleet };
}

Deno.test("a command that may move runs once, on one node, and its result is its outcome", async () => {
  await using stack = new AsyncDisposableStack();
  const { folder, fleet } = await ground(stack, ["n1", "n2"]);
  const id = newCommandId();
  const taken = await submit(fleet, "beat", { id });
  assert.equal(taken.id, id);
  const { node } = await running(folder, 1);
  const record = await inState(fleet, id, "running");
  assert.deepEqual([record.move?.node, record.move?.attempt, record.move?.any], [node, 1, "all"]);
  assert.deepEqual(record.by, { user: "admin", proven: true });
  const again = await submit(fleet, "beat", { id });
  assert.deepEqual([again.state, again.node, again.attempt], ["running", node, 1], "asked again it is the same");
  await refused(submit(fleet, "other", { id }), "conflict", /task\.run/);
  // Longer than its lease: it is renewed.
  await until(
    "the lease to be renewed",
    async () => (await attemptsIn(folder)).some(({ first, last }) => last - first > 2 * LEASE_MS),
  );
  await letEnd(folder);
  const { runs } = await inState(fleet, id, "succeeded");
  assert.deepEqual(Object.keys(runs), [node]);
  assert.deepEqual((await attemptsIn(folder)).map(({ attempt }) => attempt), [1]);
  const stored = await until("its result", () => lastOf(fleet.bus, STREAM.results, storedResult(id, node)));
  assert.equal(JSON.parse(stored.text).attempt, 1);
  const after = await submit(fleet, "beat", { id });
  assert.deepEqual([after.state, after.attempt], ["succeeded", 1], "also when it has ended");
});

Deno.test("where no node is there that fits it waits, and goes to the first that is", async () => {
  await using stack = new AsyncDisposableStack();
  const { folder, all, fleet } = await ground(stack, ["n1"]);
  await letEnd(folder);
  const { id, state } = await submit(fleet, "beat", { any: "node=later|n9" });
  assert.equal(state, "queued");
  const past = await submit(fleet, "beat", { any: "n9", deadline: new Date(Date.now() + 300) });
  await inState(fleet, past.id, "expired");
  assert.equal((await recordOf(fleet, id)).move?.attempt, 0);
  await all.start("later");
  const { move } = await inState(fleet, id, "succeeded");
  assert.deepEqual([move?.node, move?.attempt], ["later", 1]);
});

Deno.test("what has no slot waits at the hub for whichever node has one first", async () => {
  await using stack = new AsyncDisposableStack();
  const { folder, all, fleet } = await ground(stack, []);
  await all.start({ id: "n1", slots: 1 });
  await all.start({ id: "n2", slots: 1 });
  const ids = [];
  for (let n = 0; n < 3; n++) ids.push((await submit(fleet, "beat")).id);
  for (const id of ids.slice(0, 2)) await inState(fleet, id, "running");
  const waiting = await recordOf(fleet, ids[2] ?? "");
  assert.deepEqual([waiting.move?.attempt, waiting.runs], [0, {}]);
  await letEnd(folder);
  for (const id of ids) await inState(fleet, id, "succeeded");
});

Deno.test("a node that is stopped in order hands its run back, and another one has it at once", async () => {
  await using stack = new AsyncDisposableStack();
  const { folder, all, fleet } = await ground(stack, ["n1", "n2"]);
  const { id } = await submit(fleet, "beat");
  const first = await running(folder, 1);
  const other = first.node === "n1" ? "n2" : "n1";
  await handBack(all, first.node);
  const second = await running(folder, 2);
  assert.equal(second.node, other);
  await letEnd(folder);
  const { move, runs } = await inState(fleet, id, "succeeded");
  assert.deepEqual(move?.lost.map(({ attempt, node }) => [attempt, node]), [[1, first.node]]);
  assert.match(move?.lost[0]?.reason ?? "", /stopped/);
  assert.deepEqual([runs[first.node]?.state, runs[first.node]?.stale, runs[other]?.state], [
    "interrupted",
    true,
    "succeeded",
  ]);
  assertApart(await attemptsIn(folder));
  const headers = { authorization: `Bearer ${all.up.token}` };
  const results = await until("both results", async () => {
    const { results } = await (await fetch(`${all.up.http.url}/api/v1/commands/${id}/results`, { headers })).json();
    return results.length === 2 && results;
  });
  assert.deepEqual(
    results.map(({ node, attempt, stale }: Record<string, unknown>) => [node, attempt, stale]),
    [[first.node, 1, true], [other, 2, undefined]],
  );
});

Deno.test("a program that waits for it hears where it runs, that it moves, and the result that counts", async () => {
  await using stack = new AsyncDisposableStack();
  const { folder, all } = await ground(stack, ["n1", "n2"]);
  const fleet = stack.use(await connect({ servers: all.url, creds: all.up.adminCreds }));
  const events: MovingEvent[] = [];
  const run = fleet.run("task.run", { args: ["beat"] }, {
    any: "all",
    move: true,
    onEvent: (event) => events.push(event),
  });
  const first = await running(folder, 1);
  await until("it to hear where it runs", () => events.some(({ type }) => type === "placed"));
  await handBack(all, first.node);
  const second = await running(folder, 2);
  await letEnd(folder);
  const [result, ...more] = await run;
  assert.deepEqual([result?.state, result?.node, result?.attempt, more], ["succeeded", second.node, 2, []]);
  const heard = events.flatMap((event) =>
    event.type === "placed" || event.type === "moving" ? [`${event.type} ${event.node} ${event.attempt}`] : []
  );
  assert.deepEqual(heard, [`placed ${first.node} 1`, `moving ${first.node} 1`, `placed ${second.node} 2`]);
  const again = events.findLastIndex(({ type }) => type === "placed");
  const output = events.slice(again).filter((event) => event.type === "log");
  assert.equal(toldText(output), `done by ${second.node}, attempt 2\n`);
  assert.deepEqual(
    (await fleet.run("task.run", { args: ["beat"] }, { any: "all" })).map(({ state }) => state),
    ["succeeded"],
    "without --move the best node is asked itself",
  );
  const never = fleet.run("task.run", { args: ["beat"] }, {
    any: "n9",
    move: true,
    deadline: new Date(Date.now() + 300),
  });
  await refused(never, "timeout", /before its deadline/);
});

Deno.test("a node that is drained lets what may move go on for a while, then hands it back", async () => {
  await using stack = new AsyncDisposableStack();
  const { folder, all, fleet } = await ground(stack, ["n1"]);
  const { id } = await submit(fleet, "beat");
  await running(folder, 1);
  await all.start("n2");
  const drainedAt = Date.now();
  await controlNode(fleet, "n1", { verb: "drain" });
  const second = await running(folder, 2, DRAIN_MS + 10_000);
  assert.equal(second.node, "n2");
  assert.ok(Date.now() - drainedAt >= DRAIN_MS);
  await letEnd(folder);
  const { move } = await inState(fleet, id, "succeeded");
  assert.match(move?.lost[0]?.reason ?? "", /drained/);
  assertApart(await attemptsIn(folder));
});

Deno.test("it is cancelled where it waits and where it runs", async () => {
  await using stack = new AsyncDisposableStack();
  const { folder, fleet } = await ground(stack, ["n1"]);
  const cancel = async (id: string) =>
    JSON.parse((await fleet.bus.request(hubSubject("command", "cancel"), JSON.stringify({ id }))).text()).outcomes;
  const waiting = await submit(fleet, "beat", { any: "n9" });
  assert.deepEqual(await cancel(waiting.id), { hub: "cancelled" });
  await inState(fleet, waiting.id, "cancelled");
  assert.deepEqual(await cancel(waiting.id), { hub: "already_done" });

  const { id } = await submit(fleet, "beat");
  await running(folder, 1);
  assert.deepEqual(await cancel(id), { n1: "cancelled" });
  const { runs } = await inState(fleet, id, "cancelled");
  assert.equal(runs.n1?.state, "cancelled");
  assert.deepEqual(await cancel(id), { n1: "already_done" });
});

Deno.test("what makes no sense is refused, with what to do instead", async () => {
  await using stack = new AsyncDisposableStack();
  const { all, fleet } = await ground(stack, ["n1"]);
  const asked = { any: "all", move: true, capability: "task", verb: "run", input: { args: ["beat"] } };
  const submitted = (change: object) =>
    fleet.bus.request(hubSubject("command", "submit"), JSON.stringify({ ...asked, ...change }));
  await refused(submitted({ any: "os=" }), "invalid", /selector/);
  await refused(submitted({ any: undefined }), "invalid", /any/);
  await refused(submitted({ move: false }), "invalid", /move/);
  await refused(submitted({ verb: "run.>" }), "invalid", /verb/);
  await refused(submitted({ deadline: "soon" }), "invalid", /deadline/);
  await refused(submitted({ on: "all" }), "invalid", /on/);
  // Only a node knows its verbs and their input: what it refuses ends it.
  const { id } = JSON.parse((await submitted({ input: { nonsense: 1 } })).text());
  const { move } = await inState(fleet, id, "refused");
  assert.equal(move?.ended?.error?.code, "invalid");
  const reading = JSON.parse((await submitted({ verb: "list", input: {} })).text());
  assert.match((await inState(fleet, reading.id, "refused")).move?.ended?.error?.message ?? "", /only looks/);

  // Nobody but the node itself renews its leases.
  const olga = await all.connect(await all.join("operator", "olga"), { inboxPrefix: inboxPrefix("olga") });
  await refused(olga.request(leaseRenewSubject("n1"), JSON.stringify({ runs: [] })), "forbidden");
  await refused(olga.request(leaseRenewSubject("olga"), JSON.stringify({ runs: [] })), "forbidden");
  await refused(fleet.bus.request(hubSubject("lease", "renew"), JSON.stringify({ runs: [] })), "forbidden");
  const n3 = await all.connect(await all.join("node", "n3"), { inboxPrefix: inboxPrefix("n3") });
  await refused(n3.request(leaseRenewSubject("n1"), JSON.stringify({ runs: [] })), "forbidden");
  const renewed = await n3.request(leaseRenewSubject("n3"), JSON.stringify({ runs: [{ id, epoch: 1 }] }));
  assert.deepEqual(JSON.parse(renewed.text()), { renewed: [], lost: [id] });
});

Deno.test("a node that somebody asks with a lease of their own making starts nothing", async () => {
  await using stack = new AsyncDisposableStack();
  const { folder, all, fleet } = await ground(stack, ["n1"]);
  const id = newCommandId();
  const answer = await fleet.bus.request("xtask.n1.task.run", JSON.stringify({ args: ["beat"] }), {
    headers: { "Xtask-Command-Id": id, "Xtask-Attempt": "7", "Xtask-Lease": "3000", "Xtask-Wait": "4000" },
  });
  const { state, error } = JSON.parse(answer.text());
  assert.deepEqual([state, error.code], ["interrupted", "unavailable"]);
  assert.deepEqual(await attemptsIn(folder), []);
  await refused(
    fleet.bus.request("xtask.n1.task.run", "{}", { headers: { "Xtask-Attempt": "1" } }),
    "invalid",
    /Xtask-Command-Id/,
  );
  await refused(ask(all.admin, "n1", "task.run", { args: ["nosuch"] }, { id }), "conflict");
});
