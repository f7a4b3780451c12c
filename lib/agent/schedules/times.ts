/** The times of a schedule. */
import { Cron } from "croner";
import { XtaskError } from "../../protocol/error.ts";
import type { Schedule } from "../../protocol/schedule.ts";

/** What says when. */
export type When = Pick<Schedule, "cron" | "zone">;

/**
 * Checks that a schedule can be read and has a time to come.
 *
 * @throws {XtaskError} `invalid`
 */
export function assertTimes(when: When, now: number): void {
  let next: number | undefined;
  try {
    next = nextAfter(when, now);
  } catch (cause) {
    throw new XtaskError("invalid", `'${when.cron}' in ${when.zone} tells no times: ${wordsOf(cause)}`, {
      details: [
        "expected minute, hour, day of month, month and day of week, such as '30 3 * * mon-fri', or @daily",
        "and a time zone such as Europe/Berlin or UTC",
      ],
      cause,
    });
  }
  if (next === undefined) throw new XtaskError("invalid", `'${when.cron}' will never come again`);
}

/** The first time after `after`, in ms since 1970; undefined where there is none. */
export function nextAfter(when: When, after: number): number | undefined {
  return read(when).nextRun(new Date(after))?.getTime();
}

/** The newest time up to `now`. */
function newestUpTo(when: When, now: number): number | undefined {
  // A time itself does not count as one before it.
  return read(when).previousRuns(1, new Date(now + 1_000))[0]?.getTime();
}

/** What is due, if anything is: one time, however many have passed. */
export interface Due {
  readonly at: number;
  /** It passed while nobody looked at the clock. */
  readonly late: boolean;
}

/** A look at the clock that comes later than this was not to be expected: the agent did not run. */
const LATE_MS = 60_000;

/** What is due now of a schedule whose times up to `after` are done with. */
export function dueAt(when: When, after: number, now: number): Due | undefined {
  const next = nextAfter(when, after);
  if (next === undefined || next > now) return undefined;
  const newest = newestUpTo(when, now) ?? next;
  const at = newest > now ? next : Math.max(next, newest);
  return { at, late: now - at > LATE_MS };
}

function read({ cron, zone }: When): Cron {
  return new Cron(cron, { mode: "5-part", timezone: zone, paused: true });
}

/** The library begins with a name of its own. */
function wordsOf(cause: unknown): string {
  return (cause as Error).message.replace(/^Cron(Pattern|Date|Options)?: /, "");
}
