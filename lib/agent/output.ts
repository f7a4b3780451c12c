/**
 * A run's output: its bytes numbered in the order they came, sent in batches, its beginning and end kept for the result.
 * A short output of a verb that only reads is not sent at all: its result holds the whole of it.
 */
import { LOG_BATCH_BYTES, LOG_BATCH_MS, OUTPUT_EDGE_BYTES } from "../protocol/limits.ts";
import { HEADER, type OutputSummary } from "../protocol/run.ts";
import type { Draft } from "./outbox.ts";

/** Options of {@linkcode Output}. */
export interface OutputOptions {
  /** The subject of its batches. */
  readonly subject: string;
  readonly attempt: number;
  /** Keeps the output back until it is longer than a result can hold, or `release` is called. */
  readonly held: boolean;
  /** Takes a batch; resolves when there is room for more, to false where it was given up. `onSafe` hears that it is kept. */
  readonly send: (draft: Draft, onSafe: () => void) => Promise<boolean>;
  readonly now: () => number;
}

interface Piece {
  readonly stream: "out" | "err";
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const NEWLINE = 10;

/** The output of one run. */
export class Output {
  readonly #options: OutputOptions;
  #held: boolean;
  #pieces: Piece[] = [];
  #pending = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #sending: Promise<void> = Promise.resolve();
  #seq = 0;
  #sentBytes = 0;
  #lost = 0;
  /** Of what was produced and never came here. */
  #missing = 0;
  #safeBytes = 0;
  #bytes = 0;
  #newlines = 0;
  #endsOpen = false;
  /** As long as it has to be: most outputs are short, and clearing what they do not fill would cost more than they do. */
  #head = new Uint8Array(0);
  /** A ring: the byte numbered n stands at n modulo its length. Empty until there is something behind the head. */
  #tail = new Uint8Array(0);

  constructor(options: OutputOptions) {
    this.#options = options;
    this.#held = options.held;
  }

  /** Takes bytes. Resolves when there is room for more. */
  async write(stream: "out" | "err", bytes: Uint8Array<ArrayBuffer>): Promise<void> {
    if (bytes.length === 0) return;
    this.#remember(bytes);
    this.#pieces.push({ stream, bytes });
    this.#pending += bytes.length;
    if (this.#held) {
      if (this.#bytes <= OUTPUT_EDGE_BYTES) return;
      this.#held = false;
    }
    if (this.#pending >= LOG_BATCH_BYTES) await this.#flush();
    else this.#timer ??= setTimeout(() => void this.#flush(), LOG_BATCH_MS);
  }

  /** Up to which byte all that was taken cannot be lost any more. */
  get safeBytes(): number {
    return this.#safeBytes;
  }

  /** Hears what was sent by an earlier agent, before anything else is written. */
  recall(bytes: Uint8Array<ArrayBuffer>): void {
    this.#remember(bytes);
    this.#sentBytes += bytes.length;
    this.#safeBytes = this.#sentBytes;
  }

  /** Tells of bytes at the end that are lost. */
  async lose(count: number): Promise<void> {
    if (count === 0) return;
    await this.#flush();
    this.#missing += count;
    this.#sentBytes += count;
    this.#lost += count;
  }

  /** Sends what there is. Resolves when all of it has been taken. */
  async flush(): Promise<void> {
    await this.#flush();
  }

  /** Sends from now on what was kept back: somebody follows. */
  release(): void {
    this.#held = false;
    if (this.#pending > 0) this.#timer ??= setTimeout(() => void this.#flush(), 0);
  }

  /**
   * Sends the rest. Resolves when all of it has been taken, to the closing message; undefined where nothing was sent. It tells
   * of what was lost, also at the very end, so it is a fact of the run like its result, and not output that may give way.
   */
  async end(): Promise<Draft | undefined> {
    clearTimeout(this.#timer);
    if (this.#held) return undefined;
    await this.#flush();
    return this.#draft(new Uint8Array(0), { [HEADER.logEnd]: String(this.#bytes + this.#missing) });
  }

  /** What stands in the result. */
  summary(): OutputSummary {
    const total = this.#bytes;
    const truncated = total > 2 * OUTPUT_EDGE_BYTES || this.#missing > 0;
    const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
    // Where nothing is left out, a character on the border between head and tail stays whole.
    const head = decoder.decode(this.#head.subarray(0, Math.min(total, OUTPUT_EDGE_BYTES)), { stream: !truncated });
    const rest = Math.min(Math.max(0, total - OUTPUT_EDGE_BYTES), OUTPUT_EDGE_BYTES);
    const tail = new Uint8Array(rest);
    for (let i = 0; i < rest; i++) tail[i] = this.#tail[(total - rest + i) % OUTPUT_EDGE_BYTES] as number;
    return {
      head,
      tail: decoder.decode(tail),
      bytes: total + this.#missing,
      lines: this.#newlines + (this.#endsOpen ? 1 : 0),
      truncated,
    };
  }

  #remember(bytes: Uint8Array): void {
    const inHead = bytes.subarray(0, Math.max(0, OUTPUT_EDGE_BYTES - this.#bytes));
    if (inHead.length > 0) this.#rememberHead(inHead);
    if (inHead.length < bytes.length) this.#rememberTail(bytes);
    this.#bytes += bytes.length;
    for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) this.#newlines++;
    this.#endsOpen = bytes[bytes.length - 1] !== NEWLINE;
  }

  #rememberHead(bytes: Uint8Array): void {
    const length = this.#bytes + bytes.length;
    if (length > this.#head.length) {
      const larger = new Uint8Array(Math.min(OUTPUT_EDGE_BYTES, Math.max(length, 2 * this.#head.length)));
      larger.set(this.#head);
      this.#head = larger;
    }
    this.#head.set(bytes, this.#bytes);
  }

  #rememberTail(bytes: Uint8Array): void {
    if (this.#tail.length === 0) this.#tail = new Uint8Array(OUTPUT_EDGE_BYTES);
    const edge = bytes.subarray(Math.max(0, bytes.length - OUTPUT_EDGE_BYTES));
    const start = (this.#bytes + bytes.length - edge.length) % OUTPUT_EDGE_BYTES;
    const fits = Math.min(edge.length, OUTPUT_EDGE_BYTES - start);
    this.#tail.set(edge.subarray(0, fits), start);
    this.#tail.set(edge.subarray(fits), 0);
  }

  /** One flush at a time, so that batches keep their order. */
  #flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#sending = this.#sending.then(() => this.#sendPending());
    return this.#sending;
  }

  async #sendPending(): Promise<void> {
    while (this.#pending > 0) {
      const taken: Piece[] = [];
      let size = 0;
      while (size < LOG_BATCH_BYTES) {
        const piece = this.#pieces.shift();
        if (piece === undefined) break;
        const room = LOG_BATCH_BYTES - size;
        taken.push({ ...piece, bytes: piece.bytes.subarray(0, room) });
        if (piece.bytes.length > room) this.#pieces.unshift({ ...piece, bytes: piece.bytes.subarray(room) });
        size += Math.min(room, piece.bytes.length);
      }
      this.#pending -= size;
      const payload = new Uint8Array(size);
      let at = 0;
      for (const { bytes } of taken) {
        payload.set(bytes, at);
        at += bytes.length;
      }
      await this.#send(payload, { [HEADER.logStream]: streams(taken) });
    }
  }

  #draft(payload: Uint8Array<ArrayBuffer>, extra: Record<string, string>): Draft {
    const { subject, attempt, now } = this.#options;
    const headers: Record<string, string> = {
      [HEADER.attempt]: String(attempt),
      [HEADER.logSeq]: String(this.#seq++),
      [HEADER.logOffset]: String(this.#sentBytes),
      [HEADER.logTime]: new Date(now()).toISOString(),
      ...(this.#lost > 0 ? { [HEADER.logGap]: String(this.#lost) } : {}),
      ...extra,
    };
    return { subject, headers, payload };
  }

  async #send(payload: Uint8Array<ArrayBuffer>, extra: Record<string, string>): Promise<void> {
    const draft = this.#draft(payload, extra);
    this.#sentBytes += payload.length;
    const end = this.#sentBytes;
    // A gap is told by the next message that gets through: so many bytes before its offset are missing.
    this.#lost = await this.#options.send(draft, () => this.#safeBytes = end) ? 0 : this.#lost + payload.length;
  }
}

/** Which bytes of a batch came from where: `out`, or `out:120,err:8` where both wrote. */
function streams(pieces: readonly Piece[]): string {
  const runs: { stream: string; size: number }[] = [];
  for (const { stream, bytes } of pieces) {
    const last = runs.at(-1);
    if (last?.stream === stream) last.size += bytes.length;
    else runs.push({ stream, size: bytes.length });
  }
  return runs.length === 1 ? runs[0]?.stream ?? "out" : runs.map(({ stream, size }) => `${stream}:${size}`).join(",");
}
