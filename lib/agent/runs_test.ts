import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import * as v from "valibot";
import { until } from "../../tests/until.ts";
import { type Capability, defineCapability, verb } from "../capability/define.ts";
import type { Host, Invocation, Outcome } from "../capability/host.ts";
import { endProcesses } from "../os/processes.ts";
import { XtaskError } from "../protocol/error.ts";
import { newCommandId } from "../protocol/id.ts";
import { DATA_BYTES_MAX, LEASE_MS, QUEUE_MAX } from "../protocol/limits.ts";
import { type LeasedRun, leaseTimes, type Renewed } from "../protocol/lease.ts";
import type { Result } from "../protocol/run.ts";
import { Leases } from "./leases.ts";
import { RunCounts } from "./metrics.ts";
import { Node } from "./outbox_for_tests.ts";
import { type Active, type Command, Runs } from "./runs.ts";
import { Slots } from "./slots.ts";

const input = v.strictObject({ text: v.optional(v.string(), "") });
const output = v.object({ text: v.string() });
const run = () => Promise.reject(new TypeError("The test's host runs nothing itself"));
const WORK: Capability = defineCapability({
  name: "work",
  summary: "Work",
  permissions: () => ({}),
  verbs: {
    do: verb({ summary: "Do it", effect: "change", input, output, run }),
    look: verb({ summary: "Look at it", effect: "read", input, output, run }),
  },
});

/** A host whose calls end when and as the test says, or with their signal. */
class Bench implements Host {
  readonly calls = new Map<string, Invocation & { readonly end: (outcome: Outcome) => void }>();

  invoke(invocation: Invocation): Promise<Outcome> {
    const { promise, resolve } = Promise.withResolvers<Outcome>();
    const { command, signal } = invocation;
    assert.ok(!this.calls.has(command), `${command} was started twice`);
    this.calls.set(command, { ...invocation, end: resolve });
    signal.addEventListener("abort", () => resolve({ error: XtaskError.from(signal.reason).toWire() }), { once: true });
    return promise;
  }

  /** The call of a command, once it has come. */
  call(command: string) {
    return until(`the call of ${command}`, () => this.calls.get(command));
  }

  ready(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

/** A node with so many slots. */
class Ground implements AsyncDisposable {
  readonly node: Node;
  readonly bench = new Bench();
  readonly slots: Slots;
  readonly troubles: string[] = [];
  readonly counts = new RunCounts();
  /** The hub's word on leases; undefined where it says nothing. */
  hub: ((runs: readonly LeasedRun[]) => Renewed) | undefined = (runs) => ({
    renewed: runs.map(({ id }) => id),
    lost: [],
  });
  elapsedMs = 0;
  leases = this.#openLeases();
  runs: Runs;

  constructor(node: Node, slots: number) {
    this.node = node;
    this.slots = new Slots(slots);
    this.runs = this.#open();
  }

  static async start(slots = 2): Promise<Ground> {
    return new Ground(await Node.start(), slots);
  }

  /** The agent dies, and another one starts. */
  async crash(): Promise<void> {
    await this.node.crash();
    this.runs = this.#open();
  }

  /** Time passes. */
  pass(ms: number): void {
    this.elapsedMs += ms;
    this.leases.look();
  }

  #openLeases(): Leases {
    return new Leases({
      renew: (runs) =>
        this.hub === undefined
          ? Promise.reject(new XtaskError("unavailable", "There is no link"))
          : Promise.resolve(this.hub(runs)),
      elapsed: () => this.elapsedMs,
    });
  }

  #open(): Runs {
    const { journal, outbox } = this.node;
    return new Runs({
      endProcesses,
      node: "n1",
      journal,
      outbox,
      host: this.bench,
      slots: this.slots,
      leases: this.leases,
      counts: this.counts,
      now: Date.now,
      onChange: () => {},
      onTrouble: (message) => void this.troubles.push(message),
    });
  }

  /** What has reached the hub: the last word of each subject, and for events their type. */
  async told(): Promise<string[]> {
    await this.node.outbox.flushed(AbortSignal.timeout(10_000));
    return this.node.line.stored.map(({ subject }) => subject.split(".").slice(3).join(" "));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.runs.drain(AbortSignal.abort());
    this.leases[Symbol.dispose]();
    await this.node[Symbol.asyncDispose]();
  }
}

function command(change: Partial<Command> = {}): Command & { readonly id: string } {
  return { id: newCommandId(), capability: WORK, verb: "do", input: { text: "a" }, ...change };
}

const active = (taken: Active | Result): Active => {
  assert.ok("follow" in taken, "it has ended already");
  return taken;
};
const DONE: Outcome = { data: { text: "done" }, exitCode: 0 };

Deno.test("a run is journalled before it starts, and told of in the order of its life, its output before its result", async () => {
  await using ground = await Ground.start();
  const asked = command();
  const taken = active(await ground.runs.submit(asked));
  assert.deepEqual(ground.node.journal.unfinished().map(({ accepted }) => accepted.id), [asked.id]);
  const call = await ground.bench.call(asked.id);
  assert.deepEqual([call.verb, call.input, taken.state], ["do", { text: "a" }, "running"]);
  await call.output("out", new TextEncoder().encode("line\n"));
  call.end(DONE);
  const result = await taken.result;
  assert.deepEqual([result.state, result.exitCode, result.data, result.output.head], [
    "succeeded",
    0,
    { text: "done" },
    "line\n",
  ]);
  assert.deepEqual(await ground.told(), [
    "events command_accepted",
    "events command_started",
    `logs ${asked.id}`,
    `logs ${asked.id}`,
    `results ${asked.id}`,
    "events command_result",
  ]);
  assert.deepEqual(ground.runs.ids, []);
  assert.deepEqual(ground.runs.status(asked.id), result);
});

Deno.test("a command id runs once, however often and when it is asked", async () => {
  await using ground = await Ground.start();
  const asked = command();
  const taken = await Promise.all(Array.from({ length: 10 }, () => ground.runs.submit(asked)));
  assert.equal(new Set(taken).size, 1);
  (await ground.bench.call(asked.id)).end(DONE);
  const result = await active(taken[0] as Active).result;
  assert.deepEqual(await ground.runs.submit(asked), result);
  await ground.crash();
  assert.deepEqual(await ground.runs.submit(asked), result, "also after the agent was killed");
  for (const other of [command({ id: asked.id, input: { text: "b" } }), command({ id: asked.id, verb: "look" })]) {
    await assert.rejects(ground.runs.submit(other), { code: "conflict" });
  }
  assert.equal(ground.bench.calls.size, 1);
});

Deno.test("a burst fills the slots and the line, and what is more is refused as exhausted", async () => {
  await using ground = await Ground.start(2);
  const asked = Array.from({ length: 2 + QUEUE_MAX + 20 }, () => command());
  const outcomes = await Promise.allSettled(asked.map((one) => ground.runs.submit(one)));
  const refused = outcomes.filter(({ status }) => status === "rejected") as PromiseRejectedResult[];
  assert.equal(refused.length, 20);
  for (const { reason } of refused) assert.equal((reason as XtaskError).code, "exhausted");
  assert.deepEqual([ground.slots.free, ground.slots.queued], [0, QUEUE_MAX]);
  assert.equal(ground.node.journal.unfinished().length, 2 + QUEUE_MAX, "what was refused was never accepted");
});

Deno.test("a run that is cancelled while it waits never starts, and gives no slot away", async () => {
  await using ground = await Ground.start(1);
  const [first, second, third] = [command(), command(), command()];
  const taken = [];
  for (const one of [first, second, third]) taken.push(active(await ground.runs.submit(one)));
  assert.equal(await ground.runs.cancel(second.id), "cancelled");
  (await ground.bench.call(first.id)).end(DONE);
  (await ground.bench.call(third.id)).end(DONE);
  await Promise.all(taken.map(({ result }) => result));
  assert.ok(!ground.bench.calls.has(second.id));
  assert.equal(ground.slots.free, 1);
  assert.equal(await ground.runs.cancel(first.id), "already_done");
  await assert.rejects(ground.runs.cancel(newCommandId()), { code: "not_found" });
});

Deno.test("a deadline that has passed expires what waits and fails what runs", async () => {
  await using ground = await Ground.start(1);
  const late = active(await ground.runs.submit(command({ deadline: Date.now() - 1 })));
  assert.equal((await late.result).state, "expired");
  const deadline = Date.now() + 2_000;
  const running = active(await ground.runs.submit(command({ deadline })));
  const waiting = active(await ground.runs.submit(command({ deadline })));
  const [ended, expired] = await Promise.all([running.result, waiting.result]);
  assert.deepEqual([ended.state, ended.error?.code], ["failed", "timeout"]);
  assert.deepEqual([expired.state, expired.error?.code, expired.startedAt], ["expired", "timeout", undefined]);
});

Deno.test("what only reads waits for no slot and leaves no trace, unless somebody follows", async () => {
  await using ground = await Ground.start(1);
  active(await ground.runs.submit(command()));
  const [quiet, followed] = [command({ verb: "look" }), command({ verb: "look" })];
  const untold = active(await ground.runs.submit(quiet));
  const told = active(await ground.runs.submit(followed));
  told.follow();
  for (const { id } of [quiet, followed]) (await ground.bench.call(id)).end({ data: { text: id } });
  assert.deepEqual([(await untold.result).data, (await told.result).data], [{ text: quiet.id }, { text: followed.id }]);
  const all = (await ground.told()).join("\n");
  assert.ok(!all.includes(quiet.id) && all.includes(`results ${followed.id}`));
});

Deno.test("a handler's answer that its own schema refuses, or that is too long, fails the run", async () => {
  await using ground = await Ground.start(3);
  const outcomes: [Outcome, string, string | undefined][] = [
    [{ data: { text: 7 } }, "failed", "invalid"],
    [{ data: { text: "x".repeat(DATA_BYTES_MAX) } }, "failed", "exhausted"],
    [{ ...DONE, exitCode: 3 }, "failed", undefined],
    [{ error: { code: "not_found", message: "No" } }, "failed", "not_found"],
  ];
  for (const [outcome, state, code] of outcomes) {
    const asked = command();
    const taken = active(await ground.runs.submit(asked));
    (await ground.bench.call(asked.id)).end(outcome);
    const result = await taken.result;
    assert.deepEqual([result.state, result.error?.code], [state, code]);
  }
});

Deno.test("a disk that refuses: new work is refused however often it is asked, nothing starts, and results wait for it to be mended", async () => {
  await using ground = await Ground.start(1);
  const { journal } = ground.node;
  const { accept, finish } = journal;
  const full = () => Promise.reject(new XtaskError("exhausted", "The node's journal cannot be written"));
  const [asked, working] = [command(), command()];
  const before = active(await ground.runs.submit(working));
  journal.accept = full;
  for (const twice of [1, 2].map(() => ground.runs.submit(asked))) await assert.rejects(twice, { code: "exhausted" });
  assert.throws(() => ground.runs.status(asked.id), { code: "not_found" });
  journal.finish = full;
  (await ground.bench.call(working.id)).end(DONE);
  assert.equal((await before.result).state, "succeeded", "the caller gets the truth even if it cannot be kept");
  assert.deepEqual(ground.runs.status(working.id), await before.result, "and so does whoever asks later");
  assert.equal(ground.troubles.length, 1);
  assert.equal(ground.slots.free, 1);
  Object.assign(journal, { accept, finish });
  const taken = active(await ground.runs.submit(asked));
  (await ground.bench.call(asked.id)).end(DONE);
  await taken.result;
  await ground.runs.drain(AbortSignal.abort());
  assert.equal(journal.find(working.id)?.result?.state, "succeeded", "an agent that stops tries once more");
});

Deno.test("draining waits for runs until its signal, then hands them back as interrupted", async () => {
  await using ground = await Ground.start(1);
  const [one, two] = [command(), command()];
  const first = active(await ground.runs.submit(one));
  const second = active(await ground.runs.submit(two));
  const stop = new AbortController();
  const drained = ground.runs.drain(stop.signal);
  (await ground.bench.call(one.id)).end(DONE);
  await ground.bench.call(two.id);
  stop.abort();
  await drained;
  assert.deepEqual([(await first.result).state, (await second.result).state], ["succeeded", "interrupted"]);
});

Deno.test("what a killed agent left is reported as interrupted, once, and not run again", async () => {
  await using ground = await Ground.start(1);
  const [running, waiting] = [command(), command()];
  for (const one of [running, waiting]) active(await ground.runs.submit(one));
  await ground.bench.call(running.id);
  await ground.crash();
  assert.deepEqual((await ground.runs.recover(new Map())).interrupted.sort(), [running.id, waiting.id].sort());
  assert.deepEqual((await ground.runs.recover(new Map())).interrupted, []);
  const result = await ground.runs.submit(running) as Result;
  assert.deepEqual([result.state, result.error?.code], ["interrupted", "unavailable"]);
  const told = await ground.told();
  for (const { id } of [running, waiting]) assert.equal(told.filter((one) => one === `results ${id}`).length, 1);
  await setImmediate();
  assert.ok(!ground.bench.calls.has(waiting.id), "what had not begun does not begin");
});

const leased = (epoch: number, change: Partial<Command> = {}) =>
  command({ lease: { epoch, leaseMs: LEASE_MS }, ...change });
const { stopMs, killMs } = leaseTimes(LEASE_MS);

Deno.test("a run that may move starts when the hub has renewed its lease, and not before", async () => {
  await using ground = await Ground.start();
  ground.hub = undefined;
  const asked = leased(3);
  const taken = active(await ground.runs.submit(asked));
  await setImmediate();
  assert.equal(ground.bench.calls.size, 0, "nobody has said yet that it may");
  ground.hub = (runs) => ({ renewed: runs.map(({ id }) => id), lost: [] });
  ground.pass(1_000);
  const call = await ground.bench.call(asked.id);
  assert.equal(call.attempt, 3);
  call.end(DONE);
  const result = await taken.result;
  assert.deepEqual([result.state, result.attempt], ["succeeded", 3]);
});

Deno.test("a run whose lease was given to nobody here never starts", async () => {
  await using ground = await Ground.start();
  ground.hub = (runs) => ({ renewed: [], lost: runs.map(({ id }) => id) });
  const { state, error, startedAt } = await active(await ground.runs.submit(leased(1))).result;
  assert.deepEqual([state, error?.code, startedAt], ["interrupted", "unavailable", undefined]);
  assert.equal(ground.bench.calls.size, 0);
});

Deno.test("a run whose lease lapses is told to end, then killed, and says that it was interrupted", async () => {
  await using ground = await Ground.start();
  const asked = leased(1);
  const taken = active(await ground.runs.submit(asked));
  const call = await ground.bench.call(asked.id);
  ground.hub = undefined;
  ground.pass(stopMs - 1);
  assert.ok(!call.signal.aborted);
  ground.pass(1);
  assert.ok(call.signal.aborted && !call.kill?.aborted);
  const stubborn = leased(1);
  ground.hub = (runs) => ({ renewed: runs.map(({ id }) => id), lost: [] });
  await ground.runs.submit(stubborn);
  const second = await ground.bench.call(stubborn.id);
  ground.hub = undefined;
  // The agent itself was stopped for so long: what it says next comes after it has looked.
  ground.elapsedMs += killMs;
  await second.output("out", new TextEncoder().encode("late\n"));
  await until("it to be killed", () => second.signal.aborted && second.kill?.aborted);
  const { state, error } = await taken.result;
  assert.deepEqual([state, error?.code], ["interrupted", "unavailable"]);
});

Deno.test("of a command's attempts a node takes the newest: the same one is the same run, an older one is refused", async () => {
  await using ground = await Ground.start();
  const first = leased(2);
  const taken = active(await ground.runs.submit(first));
  const call = await ground.bench.call(first.id);
  assert.equal(await ground.runs.submit(first), taken);
  const older = leased(1, { id: first.id });
  await assert.rejects(ground.runs.submit(older), { code: "unavailable" });
  const newer = leased(3, { id: first.id });
  await assert.rejects(ground.runs.submit(newer), { code: "unavailable" }, "the older one has to be over first");
  assert.ok(call.signal.aborted, "and is over for good where the hub has given out another");
  assert.equal((await taken.result).state, "interrupted");
  ground.bench.calls.delete(first.id);
  const again = active(await ground.runs.submit(newer));
  (await ground.bench.call(first.id)).end(DONE);
  assert.deepEqual([(await again.result).attempt, (await again.result).state], [3, "succeeded"]);
  await assert.rejects(ground.runs.submit(first), { code: "unavailable" });
  assert.deepEqual(await ground.runs.submit(newer), await again.result);
});

Deno.test("what was asked of a node itself is no attempt of the hub's, and is not ended by one", async () => {
  await using ground = await Ground.start();
  const asked = command();
  const taken = active(await ground.runs.submit(asked));
  await ground.bench.call(asked.id);
  await assert.rejects(ground.runs.submit(leased(2, { id: asked.id })), { code: "conflict" });
  assert.equal(taken.state, "running");
});

Deno.test("runs that may move are handed back, the others stay", async () => {
  await using ground = await Ground.start();
  const [moving, staying] = [leased(1), command()];
  const taken = active(await ground.runs.submit(moving));
  await ground.runs.submit(staying);
  await ground.bench.call(moving.id);
  ground.runs.handBack(new XtaskError("cancelled", "The node is being drained"));
  assert.equal((await taken.result).state, "interrupted");
  assert.deepEqual(ground.runs.ids, [staying.id]);
});
