/**
 * The output of one run as numbered lines: of its newest attempt, where a command came to the same node again. It is read
 * once from its stream, which tells where lines begin; from then on any of them is read where it stands. What is kept in
 * memory is a mark for some 64 KiB of output, so 60 MB of it take some 1,000 marks.
 */
import type { Bus } from "../../nats/bus.ts";
import { lastOf, nextMessage, readStream, STREAM, type StreamMessage } from "../../nats/streams.ts";
import { pause } from "../../os/pause.ts";
import { HEADER } from "../../protocol/run.ts";
import { logSubject } from "../../protocol/subjects.ts";
import { shownText } from "./escapes.ts";
import { LineReader, type Place, type RawLine } from "./lines.ts";
import { type Piece, shownLine } from "./pieces.ts";
import { PLAIN, type Style, styleAfter } from "./sgr.ts";

/** A line. */
export interface LogLine {
  /** From 0. */
  readonly number: number;
  readonly stream: "out" | "err";
  /** When its first byte was read. */
  readonly at: Date;
  readonly pieces: readonly Piece[];
  /** Characters of it that are not shown. */
  readonly cut: number;
  /** Bytes that are missing here; the line stands for them. */
  readonly gap?: number;
}

/** What is looked for. */
export interface Search {
  readonly text: string;
  readonly caseSensitive: boolean;
}

/** A line that holds what was looked for. */
export type MatchingLine = Omit<RawLine, "gap">;

/** The output of one run. */
export interface RunLog extends AsyncDisposable {
  /** Of which attempt, from 1; 0 where nothing has come of any. */
  readonly attempt: number;
  /** Lines so far, an unfinished one included. */
  readonly lines: number;
  /** Bytes so far: what changes where an unfinished line grows. */
  readonly bytes: number;
  /** Whether no more will come, but of another attempt. */
  readonly ended: boolean;
  /** Resolves when what was there at the opening has been read. */
  readonly indexed: Promise<void>;
  onChange(hear: () => void): Disposable;
  /** Some lines, fewer where there are no more. */
  range(from: number, count: number, signal?: AbortSignal): Promise<LogLine[]>;
  /** The lines that hold a text, in order, without their looks. */
  matches(search: Search, signal?: AbortSignal): AsyncIterable<MatchingLine>;
  /** The number of the first line that tells of an error, or undefined. */
  firstError(signal?: AbortSignal): Promise<number | undefined>;
}

/** A message that reading can begin with, and the style that it begins with. */
interface Mark extends Place {
  readonly sequence: number;
  readonly style: Style;
}

/** A line, and the style that it begins with. */
type StyledLine = RawLine & { readonly style: Style };

const TAIL_LINES_MAX = 400;
const TAIL_CHARS_MAX = 256 * 1024;
const MARK_BYTES = 64 * 1024;
const MARK_MESSAGES = 64;
const RESUME_MS = 500;
const ERROR = /\b(error|failed|failure|fatal|panic|exception|cannot|traceback)\b/i;

/** The attempt that wrote this. */
export function attemptOf({ header }: StreamMessage): number {
  return Number(header(HEADER.attempt) ?? 1);
}

/** Opens the output of a run. Reading begins at once and goes on until it is disposed: there may be another attempt. */
export function openRunLog(bus: Bus, node: string, command: string): RunLog {
  const subject = logSubject(node, command);
  const stop = new AbortController();
  const listeners = new Set<() => void>();
  const indexed = Promise.withResolvers<void>();
  const marks: Mark[] = [];
  let reader = new LineReader();
  let attempt = 0;
  let style: Style = PLAIN;
  let [sinceBytes, sinceMessages, ended, last] = [0, 0, false, 0];
  let goal = Infinity;
  /** The newest whole lines, since those are what most look at. */
  const tail: StyledLine[] = [];
  let tailChars = 0;

  const begin = (newest: number) => {
    attempt = newest;
    reader = new LineReader();
    style = PLAIN;
    marks.length = tail.length = 0;
    [sinceBytes, sinceMessages, tailChars] = [0, 0, 0];
    ended = false;
  };
  const take = (message: StreamMessage) => {
    last = message.sequence;
    if (attemptOf(message) < attempt) return;
    if (attemptOf(message) > attempt) begin(attemptOf(message));
    if (marks.length === 0 || sinceBytes >= MARK_BYTES || sinceMessages >= MARK_MESSAGES) {
      marks.push({ ...reader.place, sequence: message.sequence, style: styleAfter(style, reader.unfinished) });
      [sinceBytes, sinceMessages] = [0, 0];
    }
    sinceBytes += message.data.length;
    sinceMessages++;
    for (const line of reader.take(message)) {
      tail.push({ ...line, style });
      tailChars += line.text.length;
      style = styleAfter(style, line.text);
    }
    while (tail.length > TAIL_LINES_MAX || (tailChars > TAIL_CHARS_MAX && tail.length > 0)) {
      tailChars -= tail.shift()?.text.length ?? 0;
    }
    if (reader.total !== undefined && reader.bytes >= reader.total) ended = true;
    for (const hear of listeners) hear();
  };
  const reading = (async () => {
    while (!stop.signal.aborted) {
      try {
        const from = { sequence: last + 1 };
        for await (
          const message of readStream(bus, STREAM.logs, {
            subjects: [subject],
            from,
            follow: true,
            signal: stop.signal,
          })
        ) {
          take(message);
          if (last >= goal || message.pending === 0) indexed.resolve();
        }
      } catch {
        // The hub is away: what is there is still shown, and reading goes on when it is back.
        indexed.resolve();
      }
      await pause(RESUME_MS, stop.signal);
    }
    indexed.resolve();
  })();
  // How far that is, the stream says itself: a run may write faster than anybody reads, or nothing at all.
  const looking = lastOf(bus, STREAM.logs, subject).then((newest) => {
    goal = newest?.sequence ?? 0;
    if (last >= goal) indexed.resolve();
  }, () => indexed.resolve());

  async function* linesFrom(number: number, signal?: AbortSignal): AsyncIterable<StyledLine> {
    if (number >= (tail[0]?.number ?? Infinity)) {
      const { open } = reader;
      return yield* [...tail, ...(open === undefined ? [] : [{ ...open, style }])];
    }
    const mark = marks.findLast(({ lines, clean }) => clean ? lines <= number : lines < number) ?? marks[0];
    if (mark === undefined) return;
    const lines = new LineReader(mark);
    let at = mark.sequence;
    let look: Style | undefined;
    while (at <= last) {
      signal?.throwIfAborted();
      const message = await nextMessage(bus, STREAM.logs, subject, at);
      if (message === undefined || message.sequence > last) break;
      at = message.sequence + 1;
      if (attemptOf(message) !== attempt) continue;
      for (const line of lines.take(message)) {
        look ??= styleAfter(mark.style, lines.skipped);
        yield { ...line, style: look };
        look = styleAfter(look, line.text);
      }
    }
    for (const line of lines.end()) yield { ...line, style: look ?? styleAfter(mark.style, lines.skipped) };
  }

  async function* all(signal?: AbortSignal): AsyncIterable<RawLine> {
    const lines = new LineReader();
    for await (
      const message of readStream(bus, STREAM.logs, {
        subjects: [subject],
        from: "first",
        ...(signal === undefined ? {} : { signal }),
      })
    ) {
      if (attemptOf(message) === attempt) yield* lines.take(message);
    }
    yield* lines.end();
  }

  return {
    get attempt() {
      return attempt;
    },
    get lines() {
      return reader.begun;
    },
    get bytes() {
      return reader.bytes;
    },
    get ended() {
      return ended;
    },
    indexed: indexed.promise,
    onChange(hear) {
      listeners.add(hear);
      return { [Symbol.dispose]: () => void listeners.delete(hear) };
    },
    async range(from, count, signal) {
      const found: LogLine[] = [];
      for await (const { number, stream, at, text, gap, style } of linesFrom(from, signal)) {
        if (number < from) continue;
        if (number >= from + count) break;
        const { pieces, cut } = shownLine(text, style);
        found.push({ number, stream, at, pieces, cut, ...(gap === undefined ? {} : { gap }) });
      }
      return found;
    },
    async *matches({ text, caseSensitive }, signal) {
      const wanted = caseSensitive ? text : text.toLowerCase();
      for await (const line of all(signal)) {
        const shown = shownText(line.text);
        if ((caseSensitive ? shown : shown.toLowerCase()).includes(wanted)) yield line;
      }
    },
    async firstError(signal) {
      let err: number | undefined;
      for await (const { number, stream, text } of all(signal)) {
        if (ERROR.test(shownText(text))) return number;
        if (stream === "err") err ??= number;
      }
      return err;
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      listeners.clear();
      await Promise.all([reading, looking]);
    },
  };
}
