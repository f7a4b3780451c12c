/** Commands that wait, kept in a real bucket, for a node that the test plays. */
import assert from "node:assert/strict";
import { startTestServer } from "../../tests/nats_server.ts";
import { until } from "../../tests/until.ts";
import { type Bucket, openBucket } from "../nats/bucket.ts";
import { type Bus, openBus } from "../nats/bus.ts";
import type { Event } from "../protocol/event.ts";
import { XtaskError } from "../protocol/error.ts";
import { newCommandId } from "../protocol/id.ts";
import { Waiting } from "../protocol/queue.ts";
import type { State } from "../protocol/state.ts";
import { openQueue, type Queue } from "./queue.ts";

/** A hub's queue and a node. */
class Ground implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly bucket: Bucket<Waiting>;
  /** What the node was given, in order. */
  readonly given: string[] = [];
  readonly told: Event[] = [];
  readonly states = new Map<string, State>();
  /** Whether the node is there. */
  there = false;
  clock = Date.now();
  answer: () => Promise<unknown> = () => Promise.resolve();
  queue!: Queue;

  static async make(): Promise<Ground> {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await startTestServer({ jetstream: { store_dir: "$DIR/store" } }));
    const bus: Bus = stack.use(await openBus({ servers: server.url }));
    const ground = new Ground(
      stack.move(),
      await openBucket(bus, { name: "waiting", schema: Waiting, maxBytes: 2 ** 20 }),
    );
    await ground.open();
    return ground;
  }

  private constructor(stack: AsyncDisposableStack, bucket: Bucket<Waiting>) {
    [this.#stack, this.bucket] = [stack, bucket];
  }

  /** Opens the queue as the bucket has it: another hub. */
  async open(): Promise<void> {
    this.queue = await openQueue({
      bucket: this.bucket,
      give: ({ id }) => {
        this.given.push(id);
        return this.answer();
      },
      tell: (event) => {
        this.told.push(event);
        if (event.type === "command_queued") this.states.set(event.command, "queued");
        if (event.type === "command_result") this.states.set(event.command, event.state);
        return Promise.resolve();
      },
      stateOf: (id) => Promise.resolve(this.states.get(id)),
      there: () => this.there ? ["n1"] : [],
      now: () => this.clock,
      log: () => {},
    });
    this.queue.begin();
  }

  leave(id: string, inMs?: number) {
    const deadline = inMs === undefined ? undefined : new Date(this.clock + inMs).toISOString();
    return this.queue.add({ id, nodes: ["n1"], capability: "work", verb: "do", input: { a: 1 }, deadline }, undefined);
  }

  /** Lets the node come, and all that follows from it. */
  async come(): Promise<void> {
    this.queue.nodeIsThere("n1");
    await this.queue.settled();
  }

  get ends(): string[] {
    return this.told.flatMap((event) => event.type === "command_result" ? [event.state] : []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.queue.settled();
    await this.#stack[Symbol.asyncDispose]();
  }
}

const LOST = () => Promise.reject(new XtaskError("timeout", "No answer came", { cause: new Error("lost") }));

Deno.test("a command that was taken back or given is not kept again when it is asked once more", async () => {
  await using ground = await Ground.make();
  const [taken, given] = [newCommandId(), newCommandId()];
  await ground.leave(taken);
  assert.equal(await ground.queue.withdraw(taken, "n1"), true);
  await ground.leave(taken);
  await ground.leave(given);
  await ground.come();
  ground.states.set(given, "running");
  await ground.leave(given);
  await ground.come();
  assert.deepEqual(ground.given, [given]);
  assert.deepEqual(ground.ends, ["cancelled"]);
});

Deno.test("what its node has is not taken back here, asked once more before the node's word of it has come", async () => {
  await using ground = await Ground.make();
  const id = newCommandId();
  await ground.leave(id);
  await ground.come();
  await ground.leave(id);
  assert.equal(await ground.queue.withdraw(id, "n1"), false);
  await ground.come();
  assert.deepEqual([ground.given, ground.ends], [[id, id], []], "the node says what became of it");
  assert.equal((await ground.bucket.entries()).size, 0);
});

Deno.test("an id that waits as another command is refused, and asked again at once it is one command", async () => {
  await using ground = await Ground.make();
  const id = newCommandId();
  await Promise.all([ground.leave(id), ground.leave(id), ground.leave(id)]);
  assert.equal(ground.told.length, 1);
  const other = ground.queue.add({ id, nodes: ["n1"], capability: "work", verb: "do", input: {} }, undefined);
  await assert.rejects(other, { code: "conflict" });
});

Deno.test("what may have reached its node is neither taken back nor expired, but asked of it again, by the next hub too", async () => {
  await using ground = await Ground.make();
  const id = newCommandId();
  await ground.leave(id, 1_000);
  ground.answer = LOST;
  await ground.come();
  assert.equal(await ground.queue.withdraw(id, "n1"), false);
  await ground.open();
  ground.clock += 2_000;
  ground.queue.tick();
  await ground.queue.settled();
  assert.deepEqual(ground.ends, []);
  ground.answer = () => Promise.resolve();
  await ground.come();
  assert.deepEqual(ground.given, [id, id], "the node says what became of it");
  assert.equal((await ground.bucket.entries()).size, 0);
});

Deno.test("what its node has surely not taken can be taken back, and expires", async () => {
  await using ground = await Ground.make();
  const [one, two] = [newCommandId(), newCommandId()];
  await ground.leave(one);
  ground.answer = () => Promise.reject(new XtaskError("exhausted", "The node has no room"));
  await ground.come();
  assert.equal(await ground.queue.withdraw(one, "n1"), true);
  await ground.leave(two, 1_000);
  await ground.come();
  ground.clock += 2_000;
  ground.queue.tick();
  await ground.queue.settled();
  assert.deepEqual(ground.ends, ["cancelled", "expired"]);
});

Deno.test("an end that was told before the hub died is not taken back by the next one", async () => {
  await using ground = await Ground.make();
  const id = newCommandId();
  await ground.leave(id);
  ground.states.set(id, "cancelled");
  ground.there = true;
  await ground.open();
  await until("it to be forgotten", async () => (await ground.bucket.entries()).size === 0);
  assert.deepEqual(ground.given, []);
});
