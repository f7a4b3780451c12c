/** The output of runs for the page's viewer: some lines, where a text stands, that there is more, and all of it raw. */
import { Hono } from "hono";
import * as v from "valibot";
import { attemptOf } from "../client/log/run_log.ts";
import { readStream, STREAM } from "../nats/streams.ts";
import { XtaskError } from "../protocol/error.ts";
import { CommandId, isId } from "../protocol/id.ts";
import { LOG_LINES_MAX } from "../protocol/limits.ts";
import { parse } from "../protocol/parse.ts";
import { logSubject } from "../protocol/subjects.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { growthStream, wireLine } from "./live/growth.ts";

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
export function logRoutes(log: (message: string) => void): Hono<HttpEnv> {
  return new Hono<HttpEnv>()
    .get("/commands/:id/log", async (context) => {
      const { from, count } = parse(Range, context.req.query(), "query");
      using used = use(context);
      const { log } = used;
      await log.indexed;
      const lines = await log.range(from, count, context.req.raw.signal);
      return context.json({ lines: lines.map(wireLine) });
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
      const stream = growthStream(used.log, {
        signal: context.get("caller").signal,
        onEnd() {
          place[Symbol.dispose]();
          used[Symbol.dispose]();
        },
        onTrouble: (error) => log(`output: ${XtaskError.from(error).message}`),
      });
      return context.body(stream, 200, { "content-type": "text/event-stream", "x-accel-buffering": "no" });
    })
    .get("/commands/:id/log/raw", async (context) => {
      const { id, node } = meant(context);
      using used = use(context);
      await used.log.indexed;
      return context.body(rawBytes(context, node, id, used.log.attempt), 200, {
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

function rawBytes(
  context: HttpContext,
  node: string,
  id: string,
  attempt: number,
): ReadableStream<Uint8Array<ArrayBuffer>> {
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
      else if (value.data.length > 0 && attemptOf(value) === attempt) controller.enqueue(value.data);
      else await this.pull?.(controller);
    },
    async cancel() {
      await messages.return?.(undefined);
    },
  });
}
