/** What the people of a project tell each other, and who of them is here, as it comes. */
import { hereFrom, noteOf } from "../../client/team.ts";
import { STREAM } from "../../nats/streams.ts";
import { HERE_MS, NOTES_SHOWN_MAX } from "../../protocol/limits.ts";
import { hereOf, notesOf } from "../../protocol/subjects.ts";
import type { Here, Note } from "../../protocol/team.ts";
import { followKept, type LiveOptions } from "./kept.ts";

/** The people of a project. */
export interface Team {
  /** The newest ones, oldest first: to the team and to all. */
  readonly notes: readonly Note[];
  /** Who is here now, by name. */
  here(now: number): Here[];
  /** Resolves when nothing is followed any more. */
  readonly ended: Promise<void>;
}

/** How far back notes are shown. */
const NOTES_MS = 7 * 24 * 60 * 60_000;

/** Follows the people of a project until the signal fires. */
export function followTeam({ bus, project, changed, log }: LiveOptions, signal: AbortSignal): Team {
  let notes: readonly Note[] = [];
  let newest = 0;
  const present = new Map<string, Here>();
  const ended = Promise.all([
    followKept(bus, {
      stream: STREAM.notes,
      subjects: [notesOf(project)],
      from: { time: new Date(Date.now() - NOTES_MS) },
      log,
      hear({ subject, data, time, sequence }) {
        // Read again from the start after a lost link.
        if (sequence <= newest) return;
        newest = sequence;
        const note = noteOf(subject, new TextDecoder().decode(data), time);
        // What is told to one person is not for everybody who looks at the page.
        if (note === undefined || !["team", "global"].includes(note.to)) return;
        notes = [...notes, note].slice(-NOTES_SHOWN_MAX);
        changed();
      },
    }, signal),
    followKept(bus, {
      stream: STREAM.here,
      subjects: [hereOf(project)],
      from: "last-each",
      log,
      hear(message) {
        const somebody = hereFrom(message, Date.now());
        if (somebody === undefined) return;
        const before = present.get(somebody.user);
        present.set(somebody.user, { ...somebody, since: before?.since ?? somebody.at });
        changed();
      },
    }, signal),
  ]).then(() => {});
  return {
    get notes() {
      return notes;
    },
    here(now) {
      for (const [user, { at }] of present) if (now - Date.parse(at) > HERE_MS) present.delete(user);
      return [...present.values()].sort((a, b) => a.user < b.user ? -1 : 1);
    },
    ended,
  };
}
