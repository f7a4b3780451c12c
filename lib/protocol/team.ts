/** What people of a project tell each other, and who of them is here. */
import * as v from "valibot";
import { Id } from "./id.ts";
import { NOTE_BYTES_MAX } from "./limits.ts";
import { Time } from "./time.ts";

/** The text of a note: lines, and nothing that could be taken for something else. */
export const NoteText = v.pipe(
  v.string(),
  v.trim(),
  v.nonEmpty("expected some text"),
  v.maxBytes(NOTE_BYTES_MAX, `expected at most ${NOTE_BYTES_MAX} bytes`),
  // deno-lint-ignore no-control-regex -- control characters are what this is about
  v.regex(/^[^\x00-\x09\x0b-\x1f\x7f]*$/, "expected no control characters"),
);

/** A note as it is sent. Who says it, and to whom, its subject tells. */
export const NoteSent = v.strictObject({ text: NoteText });

/** A note as it is read. */
export const Note = v.object({
  at: Time,
  /** Proven: the server lets nobody else end a subject with this name. */
  author: v.string(),
  /** `team`, `global` for an announcement, or a user. */
  to: v.string(),
  text: v.string(),
});
/** A note as it is read. */
export type Note = v.InferOutput<typeof Note>;

/** What somebody is here with. */
export const HereSent = v.strictObject({
  via: v.picklist(["page", "cli"]),
  /** Tabs of the page that are open, or terminals. */
  open: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(100_000)),
});

/** Somebody who is here. */
export const Here = v.object({ user: Id, since: v.optional(Time), at: Time, ...HereSent.entries });
/** Somebody who is here. */
export type Here = v.InferOutput<typeof Here>;

/** Whom a note is to: the team, all (`global`), or a user. */
export const NoteTo = v.union([v.picklist(["team", "global"]), Id]);
