/** `/api/v1/events`: what happens in a project as server-sent events, for any program. */
import { Hono } from "hono";
import * as v from "valibot";
import { readStream, STREAM, type StreamMessage } from "../../nats/streams.ts";
import { pause } from "../../os/pause.ts";
import { XtaskError } from "../../protocol/error.ts";
import { TAB_BEAT_MS } from "../../protocol/limits.ts";
import { parse } from "../../protocol/parse.ts";
import { storedEvents } from "../../protocol/subjects.ts";
import type { HttpEnv } from "../context.ts";

const Sequence = v.pipe(
  v.string(),
  v.regex(/^\d{1,15}$/, "expected the id of the last event that was read"),
  v.transform(Number),
);
const RESUME_MS = 500;

/** The route, below `/api/v1`. `id:` is the event's place in its stream: with it as `Last-Event-ID` nothing is missed. */
export function eventRoutes(): Hono<HttpEnv> {
  return new Hono<HttpEnv>().get("/events", (context) => {
    const types = context.req.query("types")?.split(",").filter((type) => type !== "");
    const last = context.req.header("last-event-id") ?? context.req.query("after");
    const after = last === undefined ? undefined : parse(Sequence, last, "Last-Event-ID");
    const { bus } = context.get("fleet");
    const subjects = [storedEvents(context.get("project"))];
    const caller = context.get("caller");
    const place = context.get("streams").take(caller);
    const stop = new AbortController();
    const signal = AbortSignal.any([stop.signal, caller.signal]);
    let room = Promise.withResolvers<void>();
    const read = async (controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>) => {
      let next = after === undefined ? undefined : after + 1;
      while (!signal.aborted) {
        try {
          const from = next === undefined ? "new" as const : { sequence: next };
          for await (const message of readStream(bus, STREAM.events, { subjects, from, follow: true, signal })) {
            next = message.sequence + 1;
            const text = eventText(message, types);
            if (text === undefined) continue;
            // Nothing is read ahead for somebody who does not read.
            while ((controller.desiredSize ?? 0) <= 0 && !signal.aborted) await room.promise;
            if (signal.aborted) break;
            controller.enqueue(new TextEncoder().encode(text));
          }
        } catch (error) {
          if (XtaskError.from(error).code === "forbidden") throw error;
          // The hub is away: reading goes on where it stood when it is back.
        }
        await pause(RESUME_MS, signal);
      }
    };
    let beat: ReturnType<typeof setInterval> | undefined;
    const end = () => {
      clearInterval(beat);
      room.resolve();
      place[Symbol.dispose]();
    };
    const stream = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start(controller) {
        controller.enqueue(new TextEncoder().encode(": events follow\n\n"));
        beat = setInterval(() => {
          if ((controller.desiredSize ?? 0) > 0) controller.enqueue(new TextEncoder().encode(": still there\n\n"));
        }, TAB_BEAT_MS);
        signal.addEventListener("abort", () => room.resolve(), { once: true });
        read(controller).then(() => stop.signal.aborted || controller.close(), (error) => controller.error(error))
          .finally(end);
      },
      pull() {
        room.resolve();
        room = Promise.withResolvers();
      },
      cancel: () => stop.abort(),
    }, { highWaterMark: 64 });
    return context.body(stream, 200, { "content-type": "text/event-stream", "x-accel-buffering": "no" });
  });
}

function eventText(message: StreamMessage, types: readonly string[] | undefined): string | undefined {
  const type = message.subject.split(".")[3] ?? "";
  if (types !== undefined && !types.includes(type)) return undefined;
  // JSON has no line ends of its own, and what a node sends is not taken to be JSON.
  const data = new TextDecoder().decode(message.data).replaceAll(/[\r\n]/g, " ");
  return `id: ${message.sequence}\nevent: ${type}\ndata: ${data}\n\n`;
}
