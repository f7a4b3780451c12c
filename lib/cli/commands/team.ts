/** `xtask team`: the people of a project. */
import { beHere, readNotes, sendNote, whoIsHere } from "../../client/team.ts";
import type { Note } from "../../protocol/team.ts";
import { parseDuration } from "../../words/duration.ts";
import type { Shell } from "../shell.ts";
import { untilStopped } from "../signals.ts";
import { duration, harmless, styled, table } from "../terminal.ts";
import type { FleetFlags } from "./nodes.ts";

/** Who is here. */
export async function list(this: Shell, { json, context }: FleetFlags): Promise<void> {
  const { project } = await this.context(context);
  await using fleet = await this.connect(context);
  const here = await whoIsHere(fleet.bus, project, Date.now());
  if (json) return here.forEach((somebody) => this.print(JSON.stringify(somebody)));
  if (here.length === 0) return this.note("Nobody has the page or xtask team watch open.");
  const rows = here.map(({ user, via, open, at }) => [
    user,
    via === "page" ? `the page, ${open} ${open === 1 ? "tab" : "tabs"}` : "a terminal",
    `${duration(Date.now() - Date.parse(at))} ago`,
  ]);
  this.print(table(["WHO", "WITH", "SEEN"], rows));
}

/** Tells the team, or one of it, something. */
export async function say(this: Shell, flags: FleetFlags & { to: string }, ...words: string[]): Promise<void> {
  const { project } = await this.context(flags.context);
  await using fleet = await this.connect(flags.context);
  await sendNote(fleet.bus, project, flags.to, words.join(" "));
}

/** Tells everybody of the project something that is not to be missed. */
export async function announce(this: Shell, flags: FleetFlags, ...words: string[]): Promise<void> {
  await say.call(this, { ...flags, to: "global" }, ...words);
}

/** What was told, and live; whoever watches is here. */
export async function watch(
  this: Shell,
  { json, context, since, noFollow }: FleetFlags & { since?: string; noFollow: boolean },
): Promise<void> {
  const { project } = await this.context(context);
  await using fleet = await this.connect(context);
  using stop = untilStopped(this);
  const here = noFollow ? undefined : beHere(fleet.bus, project, "cli", () => 1, stop.signal);
  const from = since === undefined ? {} : { since: new Date(Date.now() - parseDuration(since)) };
  for await (const note of readNotes(fleet.bus, project, { ...from, follow: !noFollow, signal: stop.signal })) {
    this.print(json ? JSON.stringify(note) : noteText(note, this.color));
  }
  await here;
}

function noteText({ at, author, to, text }: Note, color: boolean): string {
  const whom = to === "team" ? author : to === "global" ? `${author} to all` : `${author} to ${to}`;
  return `${styled(at, "dim", color)} ${styled(whom, to === "global" ? "yellow" : "cyan", color)}: ${
    harmless(text, { color: false }).replaceAll("\n", "\n  ")
  }`;
}
