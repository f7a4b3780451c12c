/** A hub's stream and a node with an outbox, as far as the outbox can tell. */
import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
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
export class Line implements Uplink {
  readonly stored: Report[] = [];
  readonly #ids = new Map<string, string>();
  #pending: Sent[] = [];
  #waiting: (() => void)[] = [];
  up = true;
  /** Whether there is no room for output behind it. */
  full = false;
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

/** A report that begins with a text, padded to a size. */
export function draft(text: string, size = 0): Draft {
  const payload = new Uint8Array(32 + size);
  new TextEncoder().encodeInto(text, payload);
  return { subject: "s", headers: {}, payload };
}

/** What a report says. */
export const textOf = ({ payload }: Report) => new TextDecoder().decode(payload.subarray(0, 32)).replaceAll("\0", "");

/** A node's outbox, which can be stopped, killed and started again; its folder goes with it. */
export class Node implements AsyncDisposable {
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

  async flushed(): Promise<void> {
    const signal = AbortSignal.timeout(60_000);
    await this.outbox.flushed(signal);
    signal.throwIfAborted();
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

/** `f0`, `f1`, … */
export const numbers = (count: number, word = "f") => Array.from({ length: count }, (_, at) => `${word}${at}`);
