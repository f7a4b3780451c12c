/** The forwarder against a real server, which stands for the node's own and the hub's at once. */
import assert from "node:assert/strict";
import { jetstreamManager } from "@nats-io/jetstream";
import { startTestServer } from "../../tests/nats_server.ts";
import { until } from "../../tests/until.ts";
import { type Bus, openBus } from "../nats/bus.ts";
import { ensureOwnStreams, outState } from "../nats/own_streams.ts";
import { ensureStreams, readStream, STREAM } from "../nats/streams.ts";
import { publishStored } from "../nats/uplink.ts";
import { OUT_KEPT_MS } from "../protocol/limits.ts";
import { outOf, upEvent } from "../protocol/subjects.ts";
import { Forwarder } from "./forwarder.ts";
import { Journal } from "./journal.ts";

/** A node's store and its hub. */
class Ground implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly bus: Bus;
  readonly store: string;
  readonly dir: string;
  journal: Journal;
  clock = 0;

  static async make(): Promise<Ground> {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await startTestServer({ jetstream: { store_dir: "$DIR/store" } }));
    const bus = stack.use(await openBus({ servers: server.url }));
    const store = await ensureOwnStreams(bus, "p");
    await ensureStreams(bus, { project: "p" });
    return new Ground(stack.move(), bus, store, server.dir);
  }

  private constructor(stack: AsyncDisposableStack, bus: Bus, store: string, dir: string) {
    [this.#stack, this.bus, this.store, this.dir] = [stack, bus, store, dir];
    this.journal = new Journal(`${dir}/journal`);
  }

  /** Starts a forwarder, has it hand over all there is, and stops it. */
  async forward(): Promise<void> {
    await using forwarder = await this.start();
    await forwarder.flushed(AbortSignal.timeout(15_000));
    assert.ok(forwarder.empty);
  }

  start(): Promise<Forwarder> {
    return Forwarder.start({
      bus: this.bus,
      node: "n1",
      store: this.store,
      journal: this.journal,
      monotonic: () => this.clock,
      onContact: () => {},
      onTrouble: () => {},
    });
  }

  /** Puts reports into the node's store. */
  async put(...texts: string[]): Promise<number> {
    let last = 0;
    for (const text of texts) {
      const payload = new TextEncoder().encode(text);
      last = await publishStored(this.bus, {
        subject: outOf(upEvent("n1", "x")),
        headers: { "Xtask-Test": text },
        payload,
      });
    }
    return last;
  }

  /** What the hub has of it. */
  async arrived(): Promise<string[]> {
    const texts: string[] = [];
    for await (const message of readStream(this.bus, STREAM.up, { subjects: [upEvent("n1", "x")], from: "first" })) {
      assert.equal(message.header("Xtask-Test"), new TextDecoder().decode(message.data), "headers come along");
      texts.push(new TextDecoder().decode(message.data));
    }
    return texts;
  }

  get saved(): string {
    return this.journal.setting("forwarded") ?? "";
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.journal[Symbol.dispose]();
    await this.#stack[Symbol.asyncDispose]();
  }
}

Deno.test("reports are handed over in order, by more than one batch, and once, whatever the journal missed", async (t) => {
  await using ground = await Ground.make();
  const texts = Array.from({ length: 1_000 }, (_, at) => `r${at}`);
  await ground.put(...texts);

  await t.step("many", async () => {
    await ground.forward();
    assert.deepEqual(await ground.arrived(), texts);
  });

  await t.step("a batch that was stored, but whose answer was never heard, is not stored again", async () => {
    const before = ground.saved;
    const last = await ground.put("a", "b");
    await ground.forward();
    // As the journal of an agent that was killed between the hub's answer and its own note of it.
    await ground.journal.setSetting("forwarded", JSON.stringify({ ...JSON.parse(before), sent: last }));
    await ground.put("c");
    await ground.forward();
    assert.deepEqual((await ground.arrived()).slice(-3), ["a", "b", "c"]);
  });

  await t.step("one that never left is sent as it was", async () => {
    const last = await ground.put("d", "e");
    await ground.journal.setSetting("forwarded", JSON.stringify({ ...JSON.parse(ground.saved), sent: last }));
    await ground.put("f");
    await ground.forward();
    assert.deepEqual((await ground.arrived()).slice(-4), ["c", "d", "e", "f"]);
  });
});

Deno.test("while there is no link what waits is read once, not with each attempt, and goes out when there is one", async () => {
  await using ground = await Ground.make();
  const { bus } = ground;
  const manager = await jetstreamManager(bus.connection);
  await manager.streams.delete(STREAM.up);
  let reads = 0;
  using _counting = bus.subscribe("$JS.API.DIRECT.GET.OUT", () => void reads++);
  const texts = Array.from({ length: 30 }, (_, at) => `r${at}`);
  await ground.put(...texts);
  await using forwarder = await ground.start();
  const asked = () => bus.connection.stats().outMsgs;
  await until("a first attempt", () => reads > 0);
  const [readBefore, before] = [reads, asked()];
  await until("attempts", () => asked() >= before + 4);
  assert.equal(reads, readBefore);
  await ensureStreams(bus, { project: "p" });
  await forwarder.flushed(AbortSignal.timeout(15_000));
  assert.deepEqual(await ground.arrived(), texts);
});

Deno.test("what was handed over stays for a while, and goes", async () => {
  await using ground = await Ground.make();
  await using forwarder = await ground.start();
  const add = async (text: string) => forwarder.added(await ground.put(text), text.length);
  await add("a");
  await forwarder.flushed(AbortSignal.timeout(15_000));
  assert.equal((await outState(ground.bus)).first, 1);
  ground.clock += OUT_KEPT_MS + 1;
  await add("b");
  await until("the first one to go", async () => (await outState(ground.bus)).first === 2);
  await forwarder.flushed(AbortSignal.timeout(15_000));
  assert.deepEqual(await ground.arrived(), ["a", "b"]);
});

Deno.test("a hub whose store is an older one gets again what the node still has", async () => {
  await using ground = await Ground.make();
  await using forwarder = await ground.start();
  for (const text of ["a", "b", "c"]) {
    forwarder.added(await ground.put(text), 1);
    await forwarder.flushed(AbortSignal.timeout(15_000));
  }
  assert.deepEqual(await ground.arrived(), ["a", "b", "c"]);
  // As it was after the first batch: a mark and a report.
  await cutBack(ground.bus, 2);
  forwarder.added(await ground.put("d"), 1);
  await until("all of it", async () => (await ground.arrived()).join("") === "abcd");
});

/** Takes away all that the hub has stored after a sequence. */
async function cutBack(bus: Bus, to: number): Promise<void> {
  const { streams } = await jetstreamManager(bus.connection);
  const { last_seq } = (await streams.info(STREAM.up)).state;
  for (let sequence = to + 1; sequence <= last_seq; sequence++) await streams.deleteMessage(STREAM.up, sequence);
}
