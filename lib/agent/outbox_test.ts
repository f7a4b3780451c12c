import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import fc from "fast-check";
import { until } from "../../tests/until.ts";
import { LOG_SPOOL_BYTES, LOG_UNACKED_BYTES } from "../protocol/limits.ts";
import { Journal, type Report } from "./journal.ts";
import { type Draft, Outbox, type Uplink } from "./outbox.ts";

interface Sent {
  readonly report: Report;
  readonly id: string;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * The hub's stream behind a connection that a test can cut and hold up. Messages travel on it in order, and each id is
 * stored once, as the server does it.
 */
class Line implements Uplink {
  readonly stored: Report[] = [];
  readonly #ids = new Map<string, string>();
  #pending: Sent[] = [];
  #waiting: (() => void)[] = [];
  up = true;
  /** Whether answers are held up. */
  stalled = false;
  attempts = 0;

  whenUp(signal: AbortSignal): Promise<void> {
    if (this.up) return Promise.resolve();
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  }

  send(report: Report, id: string, signal: AbortSignal): Promise<void> {
    this.attempts++;
    if (!this.up) return Promise.reject(new Error("there is no link"));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pending.push({ report, id, resolve, reject });
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    if (!this.stalled) void setImmediate().then(() => this.stalled || this.answer());
    return promise;
  }

  get inFlight(): number {
    return this.#pending.length;
  }

  /** Stores and acknowledges what is on its way. */
  answer(): void {
    for (const { report, id, resolve } of this.#pending.splice(0)) {
      this.#store(report, id);
      resolve();
    }
  }

  /** Cuts the connection when the stream has stored some of what is on its way; nobody hears of it. */
  cut(arrived = 0): void {
    this.up = false;
    for (const [at, { report, id, reject }] of this.#pending.splice(0).entries()) {
      if (at < arrived) this.#store(report, id);
      reject(new Error("the link was cut"));
    }
  }

  restore(): void {
    this.up = true;
    for (const wake of this.#waiting.splice(0)) wake();
  }

  #store(report: Report, id: string): void {
    const text = new TextDecoder().decode(report.payload.subarray(0, 32));
    const known = this.#ids.get(id);
    assert.ok(known === undefined || known === text, `id ${id} means '${known}' and '${text}': the second is lost`);
    if (known !== undefined) return;
    this.#ids.set(id, text);
    this.stored.push(report);
  }
}

/** A payload that tells what it is, followed by so many more bytes. */
function draft(text: string, size = 0): Draft {
  const payload = new Uint8Array(32 + size);
  new TextEncoder().encodeInto(text, payload);
  return { subject: "s", headers: {}, payload };
}

const textOf = ({ payload }: Report) => new TextDecoder().decode(payload.subarray(0, 32)).replaceAll("\0", "");

/** A node's outbox, which can be stopped, killed and started again; its folder goes with it. */
class Node implements AsyncDisposable {
  readonly dir: string;
  line = new Line();
  journal: Journal;
  outbox: Outbox;
  troubles: unknown[] = [];
  #copies = 0;

  static async start(): Promise<Node> {
    return new Node(await Deno.makeTempDir());
  }

  private constructor(dir: string) {
    this.dir = dir;
    this.journal = new Journal(`${dir}/j0`);
    this.outbox = this.#open();
  }

  async stop(): Promise<void> {
    await this.outbox[Symbol.asyncDispose]();
    this.journal[Symbol.dispose]();
  }

  /** Stops it in order, and starts it anew. */
  async restart(): Promise<void> {
    await this.stop();
    this.journal = new Journal(`${this.dir}/j${this.#copies}`);
    this.outbox = this.#open();
  }

  /** Kills it: only what is on disk at this moment is there for the next one. */
  async crash(): Promise<void> {
    const from = `${this.dir}/j${this.#copies}`;
    const to = `${this.dir}/j${++this.#copies}`;
    for (const end of ["", "-wal"]) await Deno.copyFile(`${from}${end}`, `${to}${end}`);
    this.line.cut();
    const [outbox, journal] = [this.outbox, this.journal];
    await outbox[Symbol.asyncDispose]();
    journal[Symbol.dispose]();
    this.journal = new Journal(to);
    this.outbox = this.#open();
    this.line.restore();
  }

  flushed(): Promise<void> {
    return this.outbox.flushed(AbortSignal.timeout(15_000));
  }

  get arrived(): string[] {
    return this.line.stored.map(textOf);
  }

  #open(): Outbox {
    const onTrouble = (error: unknown) => void this.troubles.push(error);
    return new Outbox({ journal: this.journal, uplink: this.line, node: "n1", onTrouble });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    await Deno.remove(this.dir, { recursive: true });
  }
}

const numbers = (count: number, word = "f") => Array.from({ length: count }, (_, at) => `${word}${at}`);

Deno.test("reports arrive in the order they were made, each once, and leave nothing behind", async () => {
  await using node = await Node.start();
  for (const text of numbers(200)) {
    if (Number(text.slice(1)) % 2 === 0) await node.outbox.facts([draft(text)]);
    else assert.ok(await node.outbox.log(draft(text)));
  }
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(200));
  assert.ok(node.outbox.empty);
  assert.deepEqual(node.journal.backlog(), { bytes: 0 });
  assert.deepEqual(node.troubles, []);
});

Deno.test("a long outage is survived on disk and made up for in order", async () => {
  await using node = await Node.start();
  node.line.cut();
  for (const text of numbers(500)) {
    if (Number(text.slice(1)) % 3 === 0) await node.outbox.facts([draft(text, 5_000)]);
    else assert.ok(await node.outbox.log(draft(text, 5_000)));
  }
  assert.equal(node.line.attempts, 0, "nothing is tried on a link that is known to be down");
  assert.equal(new Set(node.journal.reports({ from: 0, maxBytes: 1e9 }).map(textOf)).size, 500, "all is on disk");
  node.line.restore();
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(500));
  assert.deepEqual(node.journal.backlog(), { bytes: 0 });
});

Deno.test("a link that fails again while a backlog is made up for loses and reorders nothing", async () => {
  await using node = await Node.start();
  node.line.cut();
  await node.outbox.facts(numbers(1_000).map((text) => draft(text, 3_000)));
  for (const [at, arrived] of [0, 10, 64, 3].entries()) {
    node.line.stalled = true;
    node.line.restore();
    await until("reports on their way", () => node.line.inFlight > 0);
    node.line.cut(arrived);
    // A newer report while the link is down sends what is in memory to disk.
    await node.outbox.facts([draft(`f${1_000 + at}`)]);
  }
  node.line.stalled = false;
  node.line.restore();
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(1_004));
  assert.equal(node.troubles.length, 1, "until something gets through it is one outage");
});

Deno.test("what came while the link was down goes before what comes after", async () => {
  await using node = await Node.start();
  node.line.cut();
  await node.outbox.facts(numbers(300).map((text) => draft(text, 10_000)));
  node.line.stalled = true;
  node.line.restore();
  await until("reports on their way", () => node.line.inFlight > 0);
  await node.outbox.facts([draft("f300"), draft("f301")]);
  node.line.stalled = false;
  node.line.answer();
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(302));
});

Deno.test("an agent that is stopped and started goes on where it was", async () => {
  await using node = await Node.start();
  node.line.cut();
  await node.outbox.facts([draft("f0"), draft("f1")]);
  assert.ok(await node.outbox.log(draft("f2")));
  await node.restart();
  assert.ok(!node.outbox.empty);
  await node.outbox.facts([draft("f3")]);
  node.line.restore();
  await node.flushed();
  await node.restart();
  await node.outbox.facts([draft("f4")]);
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(5));
});

Deno.test("an agent that is killed never gives a number again, so that no report is taken for an earlier one", async () => {
  await using node = await Node.start();
  await node.outbox.facts([draft("f0"), draft("f1")]);
  assert.ok(await node.outbox.log(draft("f2")));
  await node.flushed();
  for (const text of ["f3", "f4", "f5"]) {
    await node.crash();
    await node.outbox.facts([draft(text)]);
    await node.flushed();
  }
  assert.deepEqual(node.arrived, numbers(6));
});

Deno.test("while the link is up a hub that does not answer slows output down and then takes all of it", async () => {
  await using node = await Node.start();
  node.line.stalled = true;
  const size = 512 * 1024;
  let taken = 0;
  const writing = (async () => {
    for (const text of numbers(24)) {
      assert.ok(await node.outbox.log(draft(text, size)));
      taken++;
    }
  })();
  await until("the bound", () => (taken + 1) * size >= LOG_UNACKED_BYTES);
  for (let turn = 0; turn < 50; turn++) await setImmediate();
  assert.ok(taken * size <= LOG_UNACKED_BYTES, `${taken * size} bytes were taken without an answer`);
  node.line.stalled = false;
  node.line.answer();
  await writing;
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(24));
  assert.deepEqual(node.troubles, []);
});

Deno.test("output that waits for room goes to disk when the link breaks", async () => {
  await using node = await Node.start();
  node.line.stalled = true;
  const size = 1024 * 1024;
  const writing = (async () => {
    for (const text of numbers(8)) assert.ok(await node.outbox.log(draft(text, size)));
  })();
  await until("output on its way", () => node.line.inFlight > 0);
  node.line.cut();
  await writing;
  assert.ok(node.journal.backlog().bytes >= 7 * size);
  node.line.stalled = false;
  node.line.restore();
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(8));
});

Deno.test("output beyond the disk's share is refused while facts still are not, until the hub has taken some", async () => {
  await using node = await Node.start();
  node.line.cut();
  const size = 16 * 1024 * 1024 - 32;
  const fits = LOG_SPOOL_BYTES / (size + 32);
  for (const text of numbers(fits, "l")) assert.ok(await node.outbox.log(draft(text, size)), text);
  assert.equal(await node.outbox.log(draft("too much")), false);
  await node.outbox.facts([draft("fact")]);
  node.line.restore();
  await node.flushed();
  node.line.cut();
  assert.ok(await node.outbox.log(draft("again")));
  node.line.restore();
  await node.flushed();
  assert.deepEqual(node.arrived, [...numbers(fits, "l"), "fact", "again"]);
});

Deno.test("a disk that refuses costs output, is told once, and never a fact that was taken", async () => {
  await using node = await Node.start();
  node.line.cut();
  await node.outbox.facts([draft("f0")]);
  // A closed journal refuses as a full disk does.
  const { journal } = node;
  const keep = journal.keep.bind(journal);
  let writable = false;
  journal.keep = (reports) => writable || reports.length === 0 ? keep(reports) : Promise.reject(new Error("disk full"));
  for (const text of ["l0", "l1", "l2"]) assert.equal(await node.outbox.log(draft(text)), false);
  await assert.rejects(node.outbox.facts([draft("refused")]), /disk full/);
  assert.equal(node.troubles.length, 1);
  writable = true;
  await node.outbox.facts([draft("f1")]);
  assert.ok(await node.outbox.log(draft("l3")));
  node.line.restore();
  await node.flushed();
  assert.deepEqual(node.arrived, ["f0", "f1", "l3"]);
});

type Step =
  | { readonly do: "facts"; readonly count: number; readonly size: number }
  | { readonly do: "log"; readonly size: number }
  | { readonly do: "cut"; readonly arrived: number }
  | { readonly do: "restore" | "stall" | "answer" | "turn" | "restart" | "crash" | "settle" };

const size = fc.constantFrom(0, 100, 40_000, 300_000);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("facts" as const), count: fc.constantFrom(1, 2, 90), size }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("log" as const), size }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cut" as const), arrived: fc.nat(70) }) },
  { weight: 2, arbitrary: fc.constant({ do: "restore" as const }) },
  { weight: 5, arbitrary: fc.record({ do: fc.constantFrom("stall", "answer", "turn", "settle") }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("restart", "crash") }) },
);

Deno.test("whatever happens to the link and the agent, every fact arrives once and in order, and output while it lives", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      await using node = await Node.start();
      const { line } = node;
      let made = 0;
      const facts: string[] = [];
      let logs: { text: string; taken: Promise<boolean> }[] = [];
      for (const one of steps) {
        switch (one.do) {
          case "facts": {
            const texts = Array.from({ length: one.count }, () => `f${made++}`);
            facts.push(...texts);
            await node.outbox.facts(texts.map((text) => draft(text, one.size / one.count)));
            break;
          }
          case "log": {
            const text = `l${made++}`;
            logs.push({ text, taken: node.outbox.log(draft(text, one.size)) });
            break;
          }
          case "cut":
            line.cut(one.arrived);
            break;
          case "restore":
            line.restore();
            break;
          case "stall":
            line.stalled = true;
            break;
          case "answer":
            line.stalled = false;
            line.answer();
            break;
          case "turn":
            await setImmediate();
            break;
          case "settle":
            for (let turn = 0; turn < 20; turn++) await setImmediate();
            break;
          case "restart":
            await node.restart();
            break;
          case "crash":
            // What was in memory alone goes with the process.
            await node.crash();
            logs = [];
            break;
          default:
            one satisfies never;
        }
      }
      line.stalled = false;
      line.answer();
      line.restore();
      await node.flushed();
      assert.ok(node.outbox.empty);
      const { arrived } = node;
      assert.deepEqual(arrived.filter((text) => text.startsWith("f")), facts);
      const taken = (await Promise.all(logs.map(async (log) => await log.taken ? [log.text] : []))).flat();
      const wanted = new Set(taken);
      assert.deepEqual(arrived.filter((text) => wanted.has(text)), taken);
      assert.deepEqual(node.journal.backlog(), { bytes: 0 });
    }),
    { numRuns: 60, interruptAfterTimeLimit: 20_000 },
  );
});
