/** The people of a project together. */
import { commandsFrame } from "../../../ui/commands.tsx";
import { hereFrame, NoteForm, notesFrame } from "../../../ui/team.tsx";
import { newestFirst, RECENT_MAX } from "./commands.tsx";
import type { View } from "./view.ts";

/** Who is here, what they tell each other, and what everybody asked. */
export const team: View = {
  current: "team",
  open: (model) => ({
    title: "Together",
    head: <NoteForm />,
    frames: () => [
      notesFrame(model.team.notes),
      hereFrame(model.team.here(Date.now())),
      commandsFrame("asked", newestFirst(model).slice(0, RECENT_MAX), false, "What everybody asked"),
    ],
  }),
};
