/** `/api/v1/events`: what happens in a project as server-sent events, for any program. */
import * as v from "valibot";
import { lastSequence, readStream, STREAM, type StreamMessage } from "../../nats/streams.ts";
import { pause } from "../../os/pause.ts";
import { XtaskError } from "../../protocol/error.ts";
import { TAB_BEAT_MS } from "../../protocol/limits.ts";
import { parse } from "../../protocol/parse.ts";
import { storedEvents } from "../../protocol/subjects.ts";
import type { HttpContext } from "../context.ts";
import { type ApiRoute, route, whole } from "./route.ts";

const Sequence = whole({ min: 0, max: 1e15 });
const RESUME_MS = 500;

/** The route. `id:` is the event's place in its stream: with it as `Last-Event-ID` nothing is missed. */
export const EVENT_ROUTES: readonly ApiRoute[] = [
  route({
    method: "GET",
    path: "/events",
    name: "followEvents",
    summary: "What happens, as it happens",
    description:
      "Server-sent events. The type of each is in event:, its data is an Event. With the id of the last one " +
      "as Last-Event-ID, or as ?after=, nothing is missed.",
    tag: "events",
    query: {
      types: v.optional(v.pipe(v.string(), v.description("Types that are wanted, with commas between"))),
      after: v.optional(v.pipe(Sequence, v.description("The id of the last event that was read"))),
    },
    answers: [{ status: 200, says: "The events, without an end", media: ["text/event-stream"] }],
    handle: ({ query: { types, after } }, context) => {
      const last = context.req.header("last-event-id");
      return follow(context, {
        types: types?.split(",").filter((type) => type !== ""),
        after: last === undefined ? after : parse(Sequence, last, "Last-Event-ID"),
      });
    },
  }),
];

interface Wanted {
  readonly types: readonly string[] | undefined;
  readonly after: number | undefined;
}

async function follow(context: HttpContext, { types, after }: Wanted): Promise<Response> {
  const { bus } = context.get("fleet");
  // Settled before it is said that events follow, so that what is stored from then on is among them.
  let next = (after ?? await lastSequence(bus, STREAM.events)) + 1;
  const subjects = [storedEvents(context.get("project"))];
  const caller = context.get("caller");
  const place = context.get("streams").take(caller);
  const stop = new AbortController();
  const signal = AbortSignal.any([stop.signal, caller.signal]);
  let room = Promise.withResolvers<void>();
  const read = async (controller: ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>) => {
    while (!signal.aborted) {
      try {
        const from = { sequence: next };
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
}

function eventText(message: StreamMessage, types: readonly string[] | undefined): string | undefined {
  const type = message.subject.split(".")[3] ?? "";
  if (types !== undefined && !types.includes(type)) return undefined;
  // JSON has no line ends of its own, and what a node sends is not taken to be JSON.
  const data = new TextDecoder().decode(message.data).replaceAll(/[\r\n]/g, " ");
  return `id: ${message.sequence}\nevent: ${type}\ndata: ${data}\n\n`;
}
