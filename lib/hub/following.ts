/** Following the events of a project: each is applied to the records of commands, and heard by the alarm. */
import type { Bucket } from "../nats/bucket.ts";
import type { Bus } from "../nats/bus.ts";
import { lastOf, readStream, sourceSequence, STREAM } from "../nats/streams.ts";
import { pause } from "../os/pause.ts";
import { ERROR_CODES, XtaskError } from "../protocol/error.ts";
import { Event } from "../protocol/event.ts";
import { parseJson } from "../protocol/parse.ts";
import { isCommandEvent } from "../protocol/projection.ts";
import type { CommandRecord } from "../protocol/run.ts";
import { lastToken, storedEvents, UP_EVENTS } from "../protocol/subjects.ts";
import type { Alarm } from "./alerts/alarm.ts";
import { runEvent } from "./alerts/hearing.ts";
import type { Commands } from "./commands.ts";
import type { Placements } from "./placement/placements.ts";

/** Events read back at the start; the records of older commands stay in their bucket. */
const REPLAYED_MAX = 20_000;
const RESUME_MS = 500;
/** A server that has started derives within moments; in a cluster it can take some seconds… */
const DERIVED_MS = 20_000;
/** …but nothing comes for this long only where a server has to be told. */
const LAGS_MS = 2_000;

/** What following needs. */
export interface Following {
  readonly bus: Bus;
  readonly log: (level: "info" | "warn" | "error", message: string) => void;
  readonly project: string;
  readonly commands: Commands;
  readonly records: Bucket<CommandRecord>;
  readonly alarm: Pick<Alarm, "hear" | "told">;
  readonly placements: Pick<Placements, "hear">;
  /** Hears that the stream lacks what was told, and that nothing comes of it. */
  readonly onLag?: (() => void) | undefined;
}

/**
 * Applies the events of the stream, from a while back on, for ever.
 *
 * @param onCaughtUp Hears once that all is known that had been told before
 */
export async function follow(
  { bus, project, commands, records, alarm, placements, onLag, log }: Following,
  signal: AbortSignal,
  onCaughtUp: () => void,
): Promise<void> {
  let [from, reported, caughtUp] = [0, 0, false];
  let overdue: Promise<void> | undefined;
  const isCaughtUp = () => {
    if (caughtUp || signal.aborted) return;
    caughtUp = true;
    onCaughtUp();
  };
  // The stream may lack, for moments, what was stored in the one that it derives from before a server died.
  const atItsEnd = (derived: number) => {
    if (derived >= reported) return isCaughtUp();
    overdue ??= waitForIt();
  };
  const waitForIt = async () => {
    const until = performance.now() + DERIVED_MS;
    const isAwaited = () => !caughtUp && !signal.aborted;
    while (isAwaited() && performance.now() < until) {
      const before = from;
      await pause(LAGS_MS, signal);
      if (isAwaited() && from === before) onLag?.();
    }
    if (isAwaited()) log("warn", `${STREAM.events} lacks events of ${STREAM.up}: the hub begins without`);
    isCaughtUp();
  };
  const raise = (event: Event, { author, sequence, at }: { author: string; sequence: number; at: number }) => {
    // What has a key comes from the alarm itself.
    if (event.type === "alert") return event.key === undefined ? alarm.told(event, author, sequence) : undefined;
    const about = isCommandEvent(event) ? runEvent(event, commands.get(event.command), at) : undefined;
    if (about !== undefined) alarm.hear(author, about);
  };
  while (!signal.aborted) {
    try {
      if (from === 0) {
        reported = (await lastOf(bus, STREAM.up, UP_EVENTS))?.sequence ?? 0;
        const last = (await lastOf(bus, STREAM.events, storedEvents(project)))?.sequence ?? 0;
        from = Math.max(1, last - REPLAYED_MAX);
        if (last === 0) atItsEnd(0);
      }
      const subjects = [storedEvents(project)];
      for await (
        const message of readStream(bus, STREAM.events, { subjects, from: { sequence: from }, follow: true, signal })
      ) {
        try {
          const event = parseJson(Event, new TextDecoder().decode(message.data), "event");
          const stored = commands.lacks(event) ? await records.get(event.command) : undefined;
          const author = lastToken(message.subject);
          commands.apply(event, message.sequence, author, stored);
          placements.hear(event);
          raise(event, { author, sequence: message.sequence, at: message.time.getTime() });
        } catch (error) {
          // Where the record could not be looked up, the event is read again once the server is back.
          if (ERROR_CODES[XtaskError.from(error).code].retry) throw error;
          // An event of another version, or of a node that tells nonsense: told once, and passed by.
          log("warn", `event ${message.sequence}: ${(error as Error).message}`);
        }
        from = message.sequence + 1;
        const derived = sourceSequence(message);
        commands.passed(derived);
        if (message.pending === 0) atItsEnd(derived);
      }
    } catch (error) {
      if (!signal.aborted) log("warn", `events are not followed just now: ${(error as Error).message}`);
    }
    await pause(RESUME_MS, signal);
  }
  await overdue;
}
