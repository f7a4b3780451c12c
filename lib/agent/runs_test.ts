import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import * as v from "valibot";
import { until } from "../../tests/until.ts";
import { type Capability, defineCapability, verb } from "../capability/define.ts";
import type { Host, Invocation, Outcome } from "../capability/host.ts";
import { endProcesses } from "../os/processes.ts";
import { XtaskError } from "../protocol/error.ts";
import { newCommandId } from "../protocol/id.ts";
import { DATA_BYTES_MAX, QUEUE_MAX } from "../protocol/limits.ts";
import type { Result } from "../protocol/run.ts";
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

  #open(): Runs {
    const { journal, outbox } = this.node;
    return new Runs({
      endProcesses,
      node: "n1",
      journal,
      outbox,
      host: this.bench,
      slots: this.slots,
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
  const deadline = Date.now() + 100;
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

Deno.test("a disk that refuses: new work is refused, nothing starts, and the same id is taken once it is mended", async () => {
  await using ground = await Ground.start(1);
  const { journal } = ground.node;
  const { accept, finish } = journal;
  const full = () => Promise.reject(new XtaskError("exhausted", "The node's journal cannot be written"));
  const [asked, working] = [command(), command()];
  const before = active(await ground.runs.submit(working));
  journal.accept = full;
  await assert.rejects(ground.runs.submit(asked), { code: "exhausted" });
  assert.throws(() => ground.runs.status(asked.id), { code: "not_found" });
  journal.finish = full;
  (await ground.bench.call(working.id)).end(DONE);
  assert.equal((await before.result).state, "succeeded", "the caller gets the truth even if it cannot be kept");
  assert.equal(ground.troubles.length, 1);
  assert.equal(ground.slots.free, 1);
  Object.assign(journal, { accept, finish });
  const taken = active(await ground.runs.submit(asked));
  (await ground.bench.call(asked.id)).end(DONE);
  assert.equal((await taken.result).state, "succeeded");
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
  assert.deepEqual((await ground.runs.recover()).sort(), [running.id, waiting.id].sort());
  assert.deepEqual(await ground.runs.recover(), []);
  const result = await ground.runs.submit(running) as Result;
  assert.deepEqual([result.state, result.error?.code], ["interrupted", "unavailable"]);
  const told = await ground.told();
  for (const { id } of [running, waiting]) assert.equal(told.filter((one) => one === `results ${id}`).length, 1);
  await setImmediate();
  assert.ok(!ground.bench.calls.has(waiting.id), "what had not begun does not begin");
});
