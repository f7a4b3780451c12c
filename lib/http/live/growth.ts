/** How an output grows, for its viewers: how long it is, and the lines that came, as long as they are few. */
import type { LogLine, RunLog } from "../../client/log/run_log.ts";
import type { Style } from "../../client/log/sgr.ts";
import { LINES_PUSHED_MAX } from "../../protocol/limits.ts";
import { type PushOptions, pushStream } from "./push.ts";

/** Options of {@linkcode growthStream}. */
export type GrowthOptions = Omit<PushOptions, "next" | "beat" | "onChange">;

/**
 * The stream's bytes. Each event has the lines since the one before it, the last of those included, as it may have grown.
 * Where they are too many for one event they are left out: the viewer reads those that it shows.
 */
export function growthStream(log: RunLog, options: GrowthOptions): ReadableStream<Uint8Array<ArrayBuffer>> {
  let told: string | undefined;
  let from: number | undefined;
  return pushStream({
    ...options,
    onChange: (hear) => log.onChange(hear),
    async next() {
      await log.indexed;
      const state = `"attempt":${log.attempt},"total":${log.lines},"bytes":${log.bytes},"ended":${log.ended}`;
      if (state === told) return undefined;
      const bytes = await grown(log, state, from);
      told = state;
      from = Math.max(0, log.lines - 1);
      return bytes;
    },
    beat: () => new TextEncoder().encode(": still there\n\n"),
  });
}

/** Viewers that follow are all told the same: the newest events of each output. */
const shared = new WeakMap<RunLog, Map<string, Promise<Uint8Array<ArrayBuffer>>>>();
const SHARED_MAX = 16;

function grown(log: RunLog, state: string, from: number | undefined): Promise<Uint8Array<ArrayBuffer>> {
  let events = shared.get(log);
  if (events === undefined) shared.set(log, events = new Map());
  const key = `${from} ${state}`;
  let bytes = events.get(key);
  if (bytes === undefined) {
    events.set(key, bytes = eventOf(log, state, from));
    // What could not be read now may be readable when it is asked for again.
    bytes.catch(() => events.delete(key));
    const [oldest] = events.keys();
    if (events.size > SHARED_MAX && oldest !== undefined) events.delete(oldest);
  }
  return bytes;
}

async function eventOf(log: RunLog, state: string, from: number | undefined): Promise<Uint8Array<ArrayBuffer>> {
  const few = from !== undefined && log.lines - from <= LINES_PUSHED_MAX;
  const lines = few ? await log.range(from, LINES_PUSHED_MAX) : undefined;
  const more = lines === undefined ? "" : `,"lines":${JSON.stringify(lines.map(wireLine))}`;
  return new TextEncoder().encode(`data: {${state}${more}}\n\n`);
}

/** A line in few bytes: number, stream, time, pieces as class and text. */
export function wireLine({ number, stream, at, pieces, cut, gap }: LogLine) {
  return {
    n: number,
    s: stream,
    t: at.getTime(),
    p: pieces.map(({ style, text }) => [classOf(style), text]),
    ...(cut > 0 ? { cut } : {}),
    ...(gap === undefined ? {} : { gap }),
  };
}

/** The classes of a style, all of a fixed set: `bold ink-1 paper-22`. */
function classOf({ looks, ink, paper }: Style): string {
  return [...looks, ...(ink === undefined ? [] : [`ink-${ink}`]), ...(paper === undefined ? [] : [`paper-${paper}`])]
    .join(" ");
}
