/** Lines of a run's output, put together from its messages: a pure reading, the same however its bytes were cut. */
import type { StreamMessage } from "../../nats/streams.ts";
import { logEvents } from "../follow.ts";

/** A line that never ends may not fill the memory; more of it is not shown anyway. */
const LINE_CHARS_MAX = 1024 * 1024;

const NEWLINE = 10;

/** Where reading can begin. */
export interface Place {
  /** Bytes before it. */
  readonly bytes: number;
  /** Lines that begin before it. */
  readonly lines: number;
  /** Whether a line begins here. */
  readonly clean: boolean;
}

/** A line as it stands in the stream. */
export interface RawLine {
  readonly number: number;
  readonly stream: "out" | "err";
  readonly at: Date;
  readonly text: string;
  readonly gap?: number;
}

/** Puts the messages of a run's output together to lines. */
export class LineReader {
  readonly #decoders = { out: new TextDecoder(), err: new TextDecoder() };
  #open: { text: string; stream: "out" | "err"; at: Date } | undefined;
  #next: number;
  #skipping: boolean;
  #skipped = "";
  /** Whether a line has begun and not ended; of its first character there may be a part only. */
  #within = false;
  #standing: { bytes: number; total: number | undefined };

  /** @param place Where reading begins; what is left of a line that began before it is passed over */
  constructor(place: Place = { bytes: 0, lines: 0, clean: true }) {
    this.#next = place.lines;
    this.#skipping = !place.clean;
    this.#standing = { bytes: place.bytes, total: undefined };
  }

  /** Where reading can begin with the next message. */
  get place(): Place {
    return { bytes: this.#standing.bytes, lines: this.begun, clean: !this.#within && !this.#skipping };
  }

  /** What has been read of the line that is not finished. */
  get unfinished(): string {
    return this.#open?.text ?? "";
  }

  /** The line that is not finished, as far as it has been read. */
  get open(): RawLine | undefined {
    return this.#open === undefined ? undefined : { number: this.#next, ...this.#open };
  }

  /** What was passed over. */
  get skipped(): string {
    return this.#skipped;
  }

  get bytes(): number {
    return this.#standing.bytes;
  }

  get total(): number | undefined {
    return this.#standing.total;
  }

  /** Lines that have begun. */
  get begun(): number {
    return this.#next + (this.#within ? 1 : 0);
  }

  /** The lines that a message finishes. */
  *take(message: StreamMessage): Iterable<RawLine> {
    for (const event of logEvents("", message, this.#standing)) {
      if (event.type === "gap") {
        yield* this.end();
        const at = message.time;
        yield { number: this.#next++, stream: "out", at, text: "", gap: event.bytes };
      }
      if (event.type !== "log") continue;
      for (const { stream, bytes } of event.pieces) {
        yield* this.#text(this.#decoders[stream].decode(bytes, { stream: true }), stream, event.at);
        this.#within = !this.#skipping && bytes.at(-1) !== NEWLINE;
      }
    }
  }

  /** The line that nothing ended. */
  *end(): Iterable<RawLine> {
    [this.#skipping, this.#within] = [false, false];
    const open = this.#open;
    this.#open = undefined;
    if (open !== undefined) yield { number: this.#next++, ...open };
  }

  *#text(text: string, stream: "out" | "err", at: Date): Iterable<RawLine> {
    const parts = text.split("\n");
    for (const [place, part] of parts.entries()) {
      const last = place === parts.length - 1;
      if (this.#skipping) {
        if (this.#skipped.length < LINE_CHARS_MAX) this.#skipped += part;
        if (!last) this.#skipping = false;
        continue;
      }
      if (last && part === "") return;
      const open = this.#open ?? { text: "", stream, at };
      if (open.text.length < LINE_CHARS_MAX) open.text += part;
      this.#open = open;
      if (last) return;
      this.#open = undefined;
      yield { number: this.#next++, ...open };
    }
  }
}
