/** The output of runs for the page's viewer: some lines, where a text stands, that there is more, and all of it raw. */
import { Hono } from "hono";
import * as v from "valibot";
import type { LogLine, RunLog } from "../client/log/run_log.ts";
import type { Style } from "../client/log/sgr.ts";
import { readStream, STREAM } from "../nats/streams.ts";
import { XtaskError } from "../protocol/error.ts";
import { CommandId, isId } from "../protocol/id.ts";
import { FRAME_MS, LOG_LINES_MAX, TAB_BEAT_MS } from "../protocol/limits.ts";
import { parse } from "../protocol/parse.ts";
import { logSubject } from "../protocol/subjects.ts";
import type { HttpContext, HttpEnv } from "./context.ts";

const Whole = v.pipe(v.string(), v.regex(/^\d{1,9}$/, "expected a number"), v.transform(Number));
const Range = v.object({
  from: v.optional(Whole, "0"),
  count: v.optional(v.pipe(Whole, v.maxValue(LOG_LINES_MAX, `expected at most ${LOG_LINES_MAX}`)), "500"),
});
const Find = v.object({
  text: v.pipe(v.string(), v.minLength(1, "expected a text"), v.maxLength(1_000, "expected at most 1000 characters")),
  case: v.optional(v.picklist(["0", "1"]), "0"),
});

/** Lines that a search tells of. */
const FOUND_MAX = 5_000;
/** The routes, below `/commands/{id}/log`. */
export function logRoutes(): Hono<HttpEnv> {
  return new Hono<HttpEnv>()
    .get("/commands/:id/log", async (context) => {
      const { from, count } = parse(Range, context.req.query(), "query");
      using used = use(context);
      const { log } = used;
      await log.indexed;
      const lines = await log.range(from, count, context.req.raw.signal);
      return context.json({ total: log.lines, ended: log.ended, lines: lines.map(wireLine) });
    })
    .get("/commands/:id/log/search", async (context) => {
      const { text, case: sensitive } = parse(Find, context.req.query(), "query");
      using used = use(context);
      await used.log.indexed;
      const search = { text, caseSensitive: sensitive === "1" };
      const numbers: number[] = [];
      for await (const { number } of used.log.matches(search, context.req.raw.signal)) {
        if (numbers.push(number) === FOUND_MAX) break;
      }
      return context.json({ numbers, more: numbers.length === FOUND_MAX });
    })
    .get("/commands/:id/log/first-error", async (context) => {
      using used = use(context);
      await used.log.indexed;
      return context.json({ number: await used.log.firstError(context.req.raw.signal) ?? null });
    })
    .get("/commands/:id/log/events", (context) => {
      const used = use(context);
      let place: Disposable;
      try {
        place = context.get("streams").take(context.get("caller"));
      } catch (error) {
        used[Symbol.dispose]();
        throw error;
      }
      const stream = growth(used.log, context.get("caller").signal, () => {
        place[Symbol.dispose]();
        used[Symbol.dispose]();
      });
      return context.body(stream, 200, { "content-type": "text/event-stream", "x-accel-buffering": "no" });
    })
    .get("/commands/:id/log/raw", (context) => {
      const { id, node } = meant(context);
      return context.body(rawBytes(context, node, id), 200, {
        "content-type": "text/plain; charset=utf-8",
        "content-disposition": `attachment; filename="${node}-${id}.log"`,
      });
    });
}

function use(context: HttpContext) {
  const { id, node } = meant(context);
  return context.get("logs").use(node, id);
}

function meant(context: HttpContext): { id: string; node: string } {
  const node = context.req.query("node") ?? "";
  if (!isId(node)) throw new XtaskError("invalid", "Which node's output?", { details: ["add ?node=ID"] });
  return { id: parse(CommandId, context.req.param("id"), "command id"), node };
}

/** A line in few bytes: number, stream, time, pieces as class and text. */
function wireLine({ number, stream, at, pieces, cut, gap }: LogLine) {
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

/** Tells how long the output is, whenever that has changed and the tab has taken what it was told before. */
function growth(log: RunLog, signal: AbortSignal, onEnd: () => void): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  let [told, timer, over]: [string, ReturnType<typeof setTimeout> | undefined, boolean] = ["", undefined, false];
  let listening: Disposable | undefined;
  let beat: ReturnType<typeof setInterval> | undefined;
  let close = () => {};
  const end = () => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    clearInterval(beat);
    listening?.[Symbol.dispose]();
    signal.removeEventListener("abort", close);
    onEnd();
  };
  return new ReadableStream({
    start(controller) {
      close = () => {
        end();
        controller.close();
      };
      if (signal.aborted) return close();
      signal.addEventListener("abort", close, { once: true });
      const tell = () => {
        timer = undefined;
        if (over || (controller.desiredSize ?? 0) <= 0) return;
        const now = JSON.stringify({ total: log.lines, bytes: log.bytes, ended: log.ended });
        if (now !== told) controller.enqueue(encoder.encode(`data: ${now}\n\n`));
        told = now;
      };
      const soon = () => timer ??= setTimeout(tell, FRAME_MS);
      listening = log.onChange(soon);
      void log.indexed.then(soon);
      beat = setInterval(() => {
        if ((controller.desiredSize ?? 0) > 0) controller.enqueue(encoder.encode(": still there\n\n"));
        soon();
      }, TAB_BEAT_MS);
    },
    cancel: end,
  }, { highWaterMark: 4 });
}

function rawBytes(context: HttpContext, node: string, id: string): ReadableStream<Uint8Array<ArrayBuffer>> {
  const { signal } = context.req.raw;
  const messages = readStream(context.get("fleet").bus, STREAM.logs, {
    subjects: [logSubject(node, id)],
    from: "first",
    signal,
  })[Symbol.asyncIterator]();
  return new ReadableStream({
    async pull(controller) {
      const { value, done } = await messages.next();
      if (done) controller.close();
      else if (value.data.length > 0) controller.enqueue(value.data);
      else await this.pull?.(controller);
    },
    async cancel() {
      await messages.return?.(undefined);
    },
  });
}
