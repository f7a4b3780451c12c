/** A stream: what is stored of it, and what it takes. No network here. */
import { matches, transform } from "./interest.ts";
import type { Headers } from "./wire.ts";

/** What a stream is told to be, as far as the simulated server knows it. */
export interface StreamConfig {
  readonly name: string;
  readonly subjects?: readonly string[];
  readonly storage?: "file" | "memory";
  /** In nanoseconds. */
  readonly max_age?: number;
  readonly max_msgs_per_subject?: number;
  readonly max_msg_size?: number;
  /** In nanoseconds. */
  readonly duplicate_window?: number;
  /** In nanoseconds. */
  readonly subject_delete_marker_ttl?: number;
  readonly allow_atomic?: boolean;
  readonly sources?: readonly {
    readonly name: string;
    readonly subject_transforms?: readonly { readonly src: string; readonly dest: string }[];
  }[];
  readonly republish?: { readonly src: string; readonly dest: string };
}

/** A message that is stored. */
export interface Stored {
  readonly sequence: number;
  readonly subject: string;
  readonly headers: Headers;
  readonly data: Uint8Array;
  /** By the server's clock. */
  readonly time: number;
  /** By the world's clock: what ages by it ages right. */
  readonly at: number;
}

/** A message that is to be stored. */
export type Draft = Pick<Stored, "subject" | "headers" | "data">;

/** Why a message is not stored. */
export class Refused extends Error {
  readonly code: number;
  readonly errorCode: number;

  constructor(code: number, errorCode: number, message: string) {
    super(message);
    [this.code, this.errorCode] = [code, errorCode];
  }
}

const WRONG_LAST_SEQUENCE = 10071;

/** A stream, on a disk or in memory. */
export class Stream {
  config: StreamConfig;
  readonly messages = new Map<number, Stored>();
  last = 0;
  bytes = 0;
  /** How far it has derived from the stream that it sources from. */
  derived = 0;
  readonly #bySubject = new Map<string, number[]>();
  readonly #ids = new Map<string, { readonly sequence: number; readonly at: number }>();

  constructor(config: StreamConfig) {
    this.config = config;
  }

  get first(): number {
    const [first] = this.messages.keys();
    return first ?? this.last + 1;
  }

  /** The sequence of a repeat, or undefined. */
  repeatOf(id: string | undefined, now: number): number | undefined {
    const known = id === undefined ? undefined : this.#ids.get(id);
    const windowMs = (this.config.duplicate_window ?? 120e9) / 1e6;
    return known === undefined || now - known.at > windowMs ? undefined : known.sequence;
  }

  /** @throws {Refused} where the newest of its subject is another one */
  expect(subject: string, sequence: string | undefined): void {
    if (sequence === undefined) return;
    const newest = this.lastOf(subject)?.sequence ?? 0;
    if (newest !== Number(sequence)) {
      throw new Refused(400, WRONG_LAST_SEQUENCE, `wrong last sequence: ${newest}`);
    }
  }

  /** Stores a message. */
  add({ subject, headers, data }: Draft, now: { readonly at: number; readonly time: number }): Stored {
    const stored: Stored = { sequence: ++this.last, subject, headers, data, ...now };
    if (headers["Nats-Rollup"] === "sub") { for (const old of [...this.#of(subject)]) this.remove(old); }
    this.messages.set(stored.sequence, stored);
    this.bytes += data.length;
    const id = headers["Nats-Msg-Id"];
    if (id !== undefined) this.#ids.set(id, { sequence: stored.sequence, at: now.at });
    const all = this.#of(subject);
    all.push(stored.sequence);
    const most = this.config.max_msgs_per_subject ?? -1;
    while (most > 0 && all.length > most) this.remove(all[0] as number);
    return stored;
  }

  remove(sequence: number): void {
    const stored = this.messages.get(sequence);
    if (stored === undefined) return;
    this.messages.delete(sequence);
    this.bytes -= stored.data.length;
    const all = this.#of(stored.subject);
    all.splice(all.indexOf(sequence), 1);
    if (all.length === 0) this.#bySubject.delete(stored.subject);
  }

  lastOf(subject: string): Stored | undefined {
    if (/[*>]/.test(subject)) return this.lastOfEach([subject]).at(-1);
    const sequence = this.#bySubject.get(subject)?.at(-1);
    return sequence === undefined ? undefined : this.messages.get(sequence);
  }

  /** The newest of each subject that matches, oldest first. */
  lastOfEach(filters: readonly string[]): Stored[] {
    return [...this.#bySubject].filter(([subject]) => filters.some((filter) => matches(filter, subject)))
      .map(([, all]) => this.messages.get(all.at(-1) as number) as Stored)
      .sort((a, b) => a.sequence - b.sequence);
  }

  /** Messages from a sequence on. */
  *from(sequence: number): Iterable<Stored> {
    if (this.messages.size === 0) return;
    for (let at = Math.max(sequence, this.first); at <= this.last; at++) {
      const stored = this.messages.get(at);
      if (stored !== undefined) yield stored;
    }
  }

  /** What it makes of a message of a stream that it derives from. */
  derivedSubject(from: string, subject: string): string | undefined {
    const source = this.config.sources?.find(({ name }) => name === from);
    if (source === undefined) return undefined;
    const rules = source.subject_transforms ?? [];
    if (rules.length === 0) return subject;
    for (const rule of rules) {
      const made = transform(rule, subject);
      if (made !== undefined) return made;
    }
    return undefined;
  }

  #of(subject: string): number[] {
    let all = this.#bySubject.get(subject);
    if (all === undefined) this.#bySubject.set(subject, all = []);
    return all;
  }
}
