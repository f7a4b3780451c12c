/** People of a project: what they tell each other and who is here. The server sees to it that nobody speaks as another. */
import type { Bus } from "../nats/bus.ts";
import { readStream, STREAM, type StreamMessage } from "../nats/streams.ts";
import { publishStored } from "../nats/uplink.ts";
import { pause } from "../os/pause.ts";
import { XtaskError } from "../protocol/error.ts";
import { isId } from "../protocol/id.ts";
import { HERE_BEAT_MS, HERE_MS } from "../protocol/limits.ts";
import { parse, parseJson } from "../protocol/parse.ts";
import { hereOf, hereSubject, lastToken, notesOf, noteSubject } from "../protocol/subjects.ts";
import { type Here, HereSent, type Note, NoteSent, NoteTo } from "../protocol/team.ts";

/**
 * Tells the team, a user, or all (`global`) something, under the connection's own name.
 *
 * @throws {XtaskError} `invalid`, `unauthenticated` where the credential has no name to speak under, `unavailable`
 */
export async function sendNote(bus: Bus, project: string, to: string, text: string): Promise<void> {
  const subject = noteSubject(project, parse(NoteTo, to, "channel"), nameOf(bus));
  const payload = new TextEncoder().encode(JSON.stringify(parse(NoteSent, { text }, "note")));
  await publishStored(bus, { subject, headers: {}, payload });
}

/** The newest notes, oldest first; with `follow` also those that come. */
export async function* readNotes(
  bus: Bus,
  project: string,
  { since, follow = false, signal }: { since?: Date; follow?: boolean; signal?: AbortSignal },
): AsyncIterable<Note> {
  const from = since === undefined ? "first" as const : { time: since };
  const options = { subjects: [notesOf(project)], from, follow, ...(signal === undefined ? {} : { signal }) };
  for await (const message of readStream(bus, STREAM.notes, options)) {
    const note = noteOf(message.subject, new TextDecoder().decode(message.data), message.time);
    if (note !== undefined) yield note;
  }
}

/** A note as its subject and text tell it; undefined for what is none. */
export function noteOf(subject: string, text: string, time: Date): Note | undefined {
  const [, , to = "", , author = ""] = subject.split(".");
  try {
    return { at: time.toISOString(), author, to, ...parseJson(NoteSent, text, "note") };
  } catch (error) {
    // Anybody may publish what is no note on a channel of their own.
    if (error instanceof XtaskError) return undefined;
    throw error;
  }
}

/** Who is here now, by name. */
export async function whoIsHere(bus: Bus, project: string, now: number): Promise<Here[]> {
  const here: Here[] = [];
  for await (const message of readStream(bus, STREAM.here, { subjects: [hereOf(project)], from: "last-each" })) {
    const somebody = hereFrom(message, now);
    if (somebody !== undefined) here.push(somebody);
  }
  return here.sort((a, b) => a.user < b.user ? -1 : 1);
}

/** Somebody who is here, as a message tells it; undefined for one that is too old, or none. */
export function hereFrom({ subject, data, time }: StreamMessage, now: number): Here | undefined {
  const user = lastToken(subject);
  if (!isId(user) || now - time.getTime() > HERE_MS) return undefined;
  try {
    return { user, at: time.toISOString(), ...parseJson(HereSent, new TextDecoder().decode(data), "presence") };
  } catch (error) {
    if (error instanceof XtaskError) return undefined;
    throw error;
  }
}

/** Whoever comes is told of within this; nobody is told of nobody. */
const HERE_LOOK_MS = 1_000;

/** Says that somebody is here, until the signal fires. While `open` tells 0, nothing is said. */
export async function beHere(
  bus: Bus,
  project: string,
  via: Here["via"],
  open: () => number,
  signal: AbortSignal,
): Promise<void> {
  const subject = hereSubject(project, nameOf(bus));
  let told = { count: 0, at: -Infinity };
  while (!signal.aborted) {
    const [count, at] = [open(), performance.now()];
    const due = count !== told.count || at - told.at >= HERE_BEAT_MS;
    if (bus.up && count > 0 && due) {
      bus.publish(subject, JSON.stringify({ via, open: count }));
      told = { count, at };
    }
    await pause(HERE_LOOK_MS, signal);
  }
}

function nameOf({ user }: Bus): string {
  if (user !== undefined) return user;
  throw new XtaskError("unauthenticated", "This credential has no name to speak under", {
    details: ["join with one of your own: xtask auth join --hub URL TOKEN"],
  });
}
