/** Schedules: commands that a node gives itself at times of the clock, whether the hub is there or not. */
import * as v from "valibot";
import { By } from "./by.ts";
import { CommandId, Token } from "./id.ts";
import { SCHEDULE_INPUT_BYTES_MAX } from "./limits.ts";
import { Time } from "./time.ts";
import { ulidAt } from "./ulid.ts";

/** Its name, which is its own on the node that holds it. */
export const ScheduleName = v.pipe(
  v.string(),
  v.regex(/^[a-z0-9][a-z0-9_-]{0,62}$/, "expected 1 to 63 of a-z, 0-9, '-' and '_', beginning with a letter or digit"),
);

/** What a node is asked to do again and again. */
export const ScheduleInput = v.strictObject({
  /** Chosen by whoever sets it. Nodes that were given the same id at once run as one command each time. */
  id: v.optional(CommandId),
  name: ScheduleName,
  /** Minute, hour, day of month, month, day of week; or `@hourly`, `@daily`, `@weekly`, `@monthly`. */
  cron: v.pipe(v.string(), v.maxLength(256)),
  /** IANA name of the time zone that `cron` is told in. The node's own where there is none. */
  zone: v.optional(v.pipe(v.string(), v.maxLength(64))),
  /** Of a time at which the agent did not run: forget it, or run once when it does again. */
  missed: v.optional(v.picklist(["skip", "run"]), "skip"),
  capability: Token,
  verb: Token,
  input: v.pipe(
    v.optional(v.record(v.string(), v.unknown()), {}),
    v.check(
      (input) => JSON.stringify(input).length <= SCHEDULE_INPUT_BYTES_MAX,
      `expected at most ${SCHEDULE_INPUT_BYTES_MAX} bytes; put it into a task and schedule that`,
    ),
  ),
});
/** What a node is asked to do again and again. */
export type ScheduleInput = v.InferOutput<typeof ScheduleInput>;

/** Which schedule is to go. */
export const ScheduleQuery = v.strictObject({ name: ScheduleName });

/** A schedule as its node holds it. */
export const Schedule = v.object({
  ...ScheduleInput.entries,
  id: CommandId,
  zone: v.string(),
  /** Who set it: whose commands they are. */
  by: v.optional(By),
  /** When it runs next; left out where its times are over. */
  nextAt: v.optional(Time),
  /** When it was to run last, and the command that came of it where one did. */
  lastAt: v.optional(Time),
  lastCommand: v.optional(CommandId),
});
/** A schedule as its node holds it. */
export type Schedule = v.InferOutput<typeof Schedule>;

/**
 * The id of the command that a schedule gives at a time: always the same, so that it is started once whatever happens to the
 * agent meanwhile, and one command where several nodes hold the schedule.
 *
 * @param at Milliseconds since 1970
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { commandAt } from "./schedule.ts";
 *
 * assert.equal(commandAt("01JAAAAAAA0123456789ABCDEF", 1_469_918_176_385), "01ARYZ6S410123456789ABCDEF");
 * ```
 */
export function commandAt(schedule: string, at: number): string {
  return ulidAt(at, schedule);
}
