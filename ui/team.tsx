/** The people of a project: who is here, and what they tell each other. */
import type { Here, Note } from "../lib/protocol/team.ts";
import type { Frame } from "./frame.ts";
import { elementId, Empty } from "./parts.tsx";
import { Ago } from "./time.tsx";

/** Who is here now. */
export function hereFrame(here: readonly Here[]): Frame {
  const html = String(
    <section id="here" aria-label="Who is here">
      <h2>Here now</h2>
      {here.length === 0 ? <Empty title="Nobody else has this open" /> : (
        <ul class="people">
          {here.map(({ user, via, open, since, at }) => (
            <li key={user}>
              <strong>{user}</strong>
              <span>
                {via === "page" ? `the page, ${open} ${open === 1 ? "tab" : "tabs"}` : "a terminal"} for{" "}
                <Ago at={since ?? at} lasts />
              </span>
            </li>
          ))}
        </ul>
      )}
    </section>,
  );
  return { id: "here", parts: [], html };
}

/** What people told each other, newest first. */
export function notesFrame(notes: readonly Note[]): Frame {
  const parts = notes.toReversed().map((note) => ({
    id: elementId("note", `${note.at}-${note.author}`),
    html: String(
      <li id={elementId("note", `${note.at}-${note.author}`)} class={note.to === "global" ? "note note-all" : "note"}>
        <p class="note-head">
          <strong>{note.author}</strong>
          {note.to === "global" ? " to all" : ""} <Ago at={note.at} />
        </p>
        <p class="note-text">{note.text}</p>
      </li>,
    ),
  }));
  const html = String(
    <section id="notes" aria-label="Notes">
      <h2>Notes</h2>
      {notes.length === 0 && (
        <Empty title="Nothing has been said this week">
          <p>
            What is written here everybody with this project sees, and <code>xtask team watch</code> too.
          </p>
        </Empty>
      )}
      <ol class="notes" dangerouslySetInnerHTML={{ __html: parts.map(({ html }) => html).join("") }} />
    </section>,
  );
  return { id: "notes", parts, html };
}

/** Where a note is written. */
export function NoteForm() {
  return (
    <form class="note-form" data-send="/api/v1/team/notes">
      <label>
        <span class="visually-hidden">What to tell</span>
        <textarea name="text" rows={2} maxlength={2_000} required placeholder="Tell the team something"></textarea>
      </label>
      <label>
        <span class="visually-hidden">Whom</span>
        <select name="to">
          <option value="team">to the team</option>
          <option value="global">to all, on every page</option>
        </select>
      </label>
      <button type="submit" class="run">Tell</button>
      <p class="problem" role="alert" hidden></p>
    </form>
  );
}

/** How long an announcement stands on every page. */
export const ANNOUNCED_MS = 24 * 60 * 60_000;

/** What somebody announced to all; whoever closes it does not see it again. */
export function announcementFrame(note: Note | undefined): Frame {
  const html = String(
    note === undefined ? <div id="announcement" hidden></div> : (
      <div id="announcement" role="status" data-at={note.at}>
        <p>
          <strong>{note.author}</strong>: {note.text} <Ago at={note.at} />
        </p>
        <button type="button" class="quiet" data-close-announcement aria-label="Close the announcement">×</button>
      </div>
    ),
  );
  return { id: "announcement", parts: [], html };
}
