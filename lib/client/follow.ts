/**
 * Follows a command on its nodes: output in order from its stream, results as they come, and what can be said while the
 * hub or a node is out of sight. After a lost connection it goes on where it stood.
 */
import type { Bus } from "../nats/bus.ts";
import { natsError } from "../nats/error.ts";
import { lastOf, readStream, STREAM, type StreamMessage } from "../nats/streams.ts";
import { pause } from "../os/pause.ts";
import { XtaskError } from "../protocol/error.ts";
import { parseJson } from "../protocol/parse.ts";
import { HEADER, Reply, Result } from "../protocol/run.ts";
import { lastToken, logsOfCommand, logSubject, resultSubject, runSubject, storedResult } from "../protocol/subjects.ts";

/** Output of a run. */
export interface LogEvent {
  readonly type: "log";
  readonly node: string;
  /** Who wrote which bytes, in order. */
  readonly pieces: readonly { readonly stream: "out" | "err"; readonly bytes: Uint8Array<ArrayBuffer> }[];
  /** Number of the first byte. */
  readonly offset: number;
  readonly at: Date;
}

/** What happens to a command. */
export type FollowEvent =
  | LogEvent
  /** So many bytes of a run's output are lost here. */
  | { readonly type: "gap"; readonly node: string; readonly bytes: number }
  | { readonly type: "result"; readonly node: string; readonly result: Result }
  /** The connection to the hub is lost; runs go on. / It is back. */
  | { readonly type: "lost" }
  | { readonly type: "found" }
  /** A node does not answer; its run will be told of when it returns. */
  | { readonly type: "silent"; readonly node: string };

/** Where one node's run stands. */
interface Standing {
  /** Bytes of output that were passed on, the lost ones included. */
  bytes: number;
  /** How many there are in all, once that is known. */
  total: number | undefined;
  result: Result | undefined;
  told: boolean;
  silent: boolean;
}

/** A node that says nothing for this long is asked. */
const ASK_MS = 3_000;
/** The end of a run's output and its result leave the node together; one without the other came before anybody followed. */
const ENDED_MS = 200;
/** After a result its last output is on its way: it left the node first. This long without any, and the result stands. */
export const LAST_OUTPUT_MS = 3_000;
/** A result that its node told itself may have to be handed over yet, behind the output: it is waited for this long. */
const HANDING_OVER_MS = 60_000;

/**
 * See {@linkcode FollowEvent}. Ends when every run has ended and its output has come, or the signal fires.
 *
 * @param attempt The only one that is meant, of a command that may move: it may have begun already
 */
export async function* follow(
  bus: Bus,
  id: string,
  nodes: readonly string[],
  signal?: AbortSignal,
  attempt?: number,
): AsyncIterable<FollowEvent> {
  const stop = new AbortController();
  const within = signal === undefined ? stop.signal : AbortSignal.any([stop.signal, signal]);
  const standings = new Map<string, Standing>(nodes.map((node) => [
    node,
    { bytes: 0, total: undefined, result: undefined, told: false, silent: false },
  ]));
  // A reader that lags makes the writers wait: nothing is buffered without a bound.
  const { readable, writable } = new TransformStream<FollowEvent>({}, { highWaterMark: 64 }, { highWaterMark: 0 });
  const writer = writable.getWriter();
  /** Events that the reader has not taken. */
  let unread = 0;
  const say = async (event: FollowEvent) => {
    unread++;
    await writer.write(event).catch(() => {});
    unread--;
  };
  const ended = () => {
    if ([...standings.values()].every(({ told }) => told)) void writer.close().catch(() => {});
  };
  const settle = async (node: string, standing: Standing) => {
    if (standing.told || standing.result === undefined) return;
    if (standing.total !== undefined && standing.bytes < standing.total) return;
    standing.told = true;
    await say({ type: "result", node, result: standing.result });
    ended();
  };
  const heard = async (result: Result) => {
    const standing = standings.get(result.node);
    if (standing === undefined || standing.result !== undefined) return;
    if (attempt !== undefined && result.attempt !== attempt) return;
    standing.result = result;
    standing.total = result.output.bytes;
    const rest = restOf(result, standing.bytes);
    if (rest !== undefined) {
      const offset = standing.bytes;
      standing.bytes = standing.total;
      await say({
        type: "log",
        node: result.node,
        pieces: [{ stream: "out", bytes: rest }],
        offset,
        at: new Date(result.finishedAt),
      });
    }
    await settle(result.node, standing);
    if (standing.told) return;
    // Output of a run whose node died with it has no end mark and will not come.
    void (async () => {
      const heardAt = performance.now();
      for (let before = -1; before !== standing.bytes && !within.aborted;) {
        // While the reader is late nothing more is read, and output that the hub does not have yet cannot be.
        const handedOver = performance.now() - heardAt > HANDING_OVER_MS || await isStored(bus, result);
        before = unread > 0 || !handedOver ? -1 : standing.bytes;
        await pause(LAST_OUTPUT_MS, within);
        await bus.whenUp(within).catch(() => {});
      }
      const missing = (standing.total ?? 0) - standing.bytes;
      if (standing.told || within.aborted) return;
      standing.bytes += missing;
      if (missing > 0) await say({ type: "gap", node: result.node, bytes: missing });
      await settle(result.node, standing);
    })();
  };

  using _results = bus.subscribe(
    resultSubject(id),
    (message) => {
      const result = parseJson(Result, message.text(), "result");
      // The server says whose prefix it came under; what a result says of its node is only its author's word.
      if (lastToken(message.header("Nats-Subject") ?? "") === result.node) return heard(result);
    },
  );
  const isMeant = (message: StreamMessage) =>
    attempt === undefined || Number(message.header(HEADER.attempt) ?? 1) === attempt;
  const outputEnded = new AbortController();
  const settleOrAsk = async (node: string, standing: Standing) => {
    await settle(node, standing);
    if (standing.total !== undefined && standing.result === undefined) {
      void pause(ENDED_MS, within).then(() => outputEnded.abort());
    }
  };
  const reading = readLogs(bus, id, standings, isMeant, say, settleOrAsk, within);
  let closed: XtaskError | undefined;
  const abandon = () => void writer.close().catch(() => {});
  const watching = watchLink(bus, say, within).then(async () => {
    // Closed for good: by whoever opened it, or as its credential is refused by now. Nothing more would be told.
    if (within.aborted) return;
    closed = await whyClosed(bus);
    abandon();
  });
  const firstMs = attempt === undefined ? ASK_MS : 0;
  const asking = askAround(bus, id, standings, heard, say, within, { firstMs, sooner: outputEnded.signal });
  signal?.addEventListener("abort", abandon, { once: true });
  if (nodes.length === 0 || signal?.aborted) abandon();
  try {
    for await (const event of readable) yield event;
    if (closed !== undefined && [...standings.values()].some(({ told }) => !told)) throw closed;
  } finally {
    signal?.removeEventListener("abort", abandon);
    stop.abort();
    await Promise.all([reading, asking, watching]);
  }
}

/** Whether a result stands where everybody reads it. */
async function isStored(bus: Bus, { id, node, attempt }: Result): Promise<boolean> {
  try {
    const stored = await lastOf(bus, STREAM.results, storedResult(id, node));
    return stored !== undefined && parseJson(Result, stored.text, "result").attempt >= attempt;
  } catch {
    // The hub is away, or its stream: it is asked again.
    return false;
  }
}

/** What of a short output has not come yet and stands in the result. Only where nothing would be guessed. */
function restOf({ output }: Result, passed: number): Uint8Array<ArrayBuffer> | undefined {
  if (output.truncated || passed >= output.bytes) return undefined;
  const whole = new TextEncoder().encode(output.head + output.tail);
  // Bytes that are no UTF-8 do not survive in JSON; those come by the stream.
  return whole.length === output.bytes ? whole.subarray(passed) : undefined;
}

async function readLogs(
  bus: Bus,
  id: string,
  standings: Map<string, Standing>,
  isMeant: (message: StreamMessage) => boolean,
  say: (event: FollowEvent) => Promise<void>,
  settle: (node: string, standing: Standing) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  let from = 0;
  while (!signal.aborted) {
    try {
      const options = {
        subjects: [logsOfCommand(id)],
        from: from === 0 ? "first" as const : { sequence: from },
        follow: true,
        signal,
      };
      for await (const message of readStream(bus, STREAM.logs, options)) {
        from = message.sequence + 1;
        const node = message.subject.split(".")[2] ?? "";
        const standing = standings.get(node);
        if (standing === undefined || !isMeant(message)) continue;
        for (const event of logEvents(node, message, standing)) await say(event);
        await settle(node, standing);
      }
    } catch {
      // The hub is away: `watchLink` says so, and reading goes on from `from` when it is back.
      await bus.whenUp(signal).catch(() => {});
    }
    await pause(200, signal);
  }
}

/** A log message as events: repeats give none, missing bytes a gap first. */
export function* logEvents(
  node: string,
  message: StreamMessage,
  standing: { bytes: number; total: number | undefined },
): Iterable<FollowEvent> {
  const offset = Number(message.header(HEADER.logOffset) ?? standing.bytes);
  const end = message.header(HEADER.logEnd);
  if (end !== undefined) standing.total = Number(end);
  // What is passed on counts at once: the result may come, and be looked at, before a slow reader has taken it.
  const lost = offset - standing.bytes;
  if (lost > 0) {
    standing.bytes = offset;
    yield { type: "gap", node, bytes: lost };
  }
  const from = standing.bytes;
  const skip = from - offset;
  if (skip >= message.data.length) return;
  standing.bytes = offset + message.data.length;
  const at = new Date(message.header(HEADER.logTime) ?? message.time);
  const pieces = [...piecesOf(message.data, message.header(HEADER.logStream) ?? "out", skip)];
  yield { type: "log", node, pieces, offset: from, at };
}

function* piecesOf(data: Uint8Array<ArrayBuffer>, streams: string, skip: number): Iterable<LogEvent["pieces"][number]> {
  let at = 0;
  for (const part of streams.split(",")) {
    const [name, size] = part.split(":");
    const end = size === undefined ? data.length : at + Number(size);
    const bytes = data.subarray(Math.max(at, skip), end);
    if (bytes.length > 0) yield { stream: name === "err" ? "err" : "out", bytes };
    at = end;
  }
}

async function watchLink(bus: Bus, say: (event: FollowEvent) => Promise<void>, signal: AbortSignal): Promise<void> {
  for await (const change of bus.changes(signal)) await say({ type: change === "down" ? "lost" : "found" });
}

/** Why a connection is closed for good, which it is. */
async function whyClosed(bus: Bus): Promise<XtaskError> {
  const reason = await bus.closed();
  return reason instanceof Error
    ? natsError(reason)
    : new XtaskError("unavailable", "The connection to NATS is closed");
}

/** Asks for what was not told: a result that came while nobody listened, a node that is gone. */
async function askAround(
  bus: Bus,
  id: string,
  standings: Map<string, Standing>,
  heard: (result: Result) => Promise<void>,
  say: (event: FollowEvent) => Promise<void>,
  signal: AbortSignal,
  { firstMs, sooner }: { firstMs: number; sooner: AbortSignal },
): Promise<void> {
  await pause(firstMs, AbortSignal.any([signal, sooner]));
  for (; !signal.aborted; await pause(ASK_MS, signal)) {
    await bus.whenUp(signal).catch(() => {});
    for (const [node, standing] of standings) {
      if (signal.aborted || standing.result !== undefined) continue;
      try {
        const stored = await lastOf(bus, STREAM.results, storedResult(id, node));
        if (stored !== undefined) {
          await heard(parseJson(Result, stored.text, "result"));
          continue;
        }
        const answer = await bus.request(runSubject(node, "status"), JSON.stringify({ id }));
        const reply = parseJson(Reply, answer.text(), "status");
        if ("finishedAt" in reply) await heard(reply);
        standing.silent = false;
      } catch (thrown) {
        // Whatever the reason, the next round asks again; only silence is worth a word.
        const { code } = XtaskError.from(thrown);
        if (!bus.up || standing.silent || (code !== "unavailable" && code !== "timeout")) continue;
        standing.silent = true;
        await say({ type: "silent", node });
      }
    }
  }
}

/** The stored output of a command's runs: all that is there now. */
export async function* storedLogs(
  bus: Bus,
  { id, node, signal }: { id: string; node?: string; signal?: AbortSignal },
): AsyncIterable<FollowEvent> {
  const standings = new Map<string, { bytes: number; total: number | undefined }>();
  const subjects = [node === undefined ? logsOfCommand(id) : logSubject(node, id)];
  const options = { subjects, from: "first" as const, ...(signal === undefined ? {} : { signal }) };
  for await (const message of readStream(bus, STREAM.logs, options)) {
    const author = message.subject.split(".")[2] ?? "";
    // Each attempt has output of its own.
    const run = `${author}.${message.header(HEADER.attempt) ?? 1}`;
    const standing = standings.get(run) ?? { bytes: 0, total: undefined };
    standings.set(run, standing);
    yield* logEvents(author, message, standing);
  }
}
