/** `/api/v1/team`: who of the people is here, and what they tell each other. */
import * as v from "valibot";
import { readNotes, sendNote, whoIsHere } from "../../client/team.ts";
import { NOTES_SHOWN_MAX } from "../../protocol/limits.ts";
import { Here, Note, NoteText } from "../../protocol/team.ts";
import { type ApiRoute, route } from "./route.ts";

/** Whom the page and programs tell something; to one person alone nothing is told here. */
const To = v.picklist(["team", "global"]);
const Told = v.strictObject({
  text: NoteText,
  to: v.optional(v.pipe(To, v.description("global for what is to stand on every page")), "team"),
});
const WEEK_MS = 7 * 24 * 60 * 60_000;

/** The routes. */
export const TEAM_ROUTES: readonly ApiRoute[] = [
  route({
    method: "GET",
    path: "/team",
    name: "whoIsHere",
    summary: "Who of the people is here",
    tag: "team",
    answer: v.object({ here: v.array(Here) }),
    answers: [{ status: 200, says: "Who has the page or a terminal open, by name" }],
    handle: async (_given, context) => ({
      here: await whoIsHere(context.get("fleet").bus, context.get("project"), Date.now()),
    }),
  }),
  route({
    method: "GET",
    path: "/team/notes",
    name: "listNotes",
    summary: "What people told the team, or all, within a week",
    tag: "team",
    answer: v.object({ notes: v.array(Note) }),
    answers: [{ status: 200, says: "The newest notes, oldest first" }],
    async handle(_given, context) {
      const options = { since: new Date(Date.now() - WEEK_MS), signal: context.get("caller").signal };
      let notes: Note[] = [];
      for await (const note of readNotes(context.get("fleet").bus, context.get("project"), options)) {
        if (v.is(To, note.to)) notes = [...notes.slice(1 - NOTES_SHOWN_MAX), note];
      }
      return { notes };
    },
  }),
  route({
    method: "POST",
    path: "/team/notes",
    name: "tell",
    summary: "Tell the team, or all, something",
    tag: "team",
    body: Told,
    answer: Told,
    answers: [{ status: 201, says: "What was told" }],
    async handle({ body }, context) {
      await sendNote(context.get("fleet").bus, context.get("project"), body.to, body.text);
      return body;
    },
  }),
];
