/** Commands as the hub knows them; where no hub answers, as the events tell that the server keeps: also a leaf node's own. */
import * as v from "valibot";
import { cancelOn } from "../nats/cancel.ts";
import { lastSequence, readStream, STREAM } from "../nats/streams.ts";
import { XtaskError } from "../protocol/error.ts";
import { Event } from "../protocol/event.ts";
import { parseJson } from "../protocol/parse.ts";
import { applyEvent, isCommandEvent, mayTell } from "../protocol/projection.ts";
import { CommandRecord } from "../protocol/run.ts";
import { isTerminal, type State } from "../protocol/state.ts";
import { lastToken, storedEvents } from "../protocol/subjects.ts";
import type { Fleet } from "./fleet.ts";

/** Which commands are listed. */
export interface CommandsQuery {
  readonly limit: number;
  readonly node?: string;
  readonly state?: State;
}

const Listed = v.object({ commands: v.array(CommandRecord) });
const Outcomes = v.object({ outcomes: v.record(v.string(), v.string()) });
/** Read back where no hub answers: a few thousand commands. */
const EVENTS_MAX = 10_000;
/** Longer than the hub waits for the nodes. */
const CANCEL_MS = 20_000;

/** The newest commands, newest first. */
export async function listCommands(fleet: Fleet, { limit, node, state }: CommandsQuery): Promise<CommandRecord[]> {
  const query = { limit, ...(node === undefined ? {} : { node }), ...(state === undefined ? {} : { state }) };
  return await orAlone(
    async () => (await fleet.hub("command", "list", query, Listed)).commands,
    async () => {
      const matches = ({ runs }: CommandRecord) =>
        Object.entries(runs).some(([id, run]) => (node ?? id) === id && (state ?? run.state) === run.state);
      return [...(await recordsOf(fleet)).values()].filter(matches).sort((a, b) => a.id < b.id ? 1 : -1).slice(
        0,
        limit,
      );
    },
  );
}

/** @throws {XtaskError} `not_found` for a command that nobody knows */
export async function commandOf(fleet: Fleet, id: string): Promise<CommandRecord> {
  return await orAlone(
    () => fleet.hub("command", "show", { id }, CommandRecord),
    async () => {
      const record = (await recordsOf(fleet)).get(id);
      if (record !== undefined) return record;
      throw new XtaskError("not_found", `No hub answers, and the events that are kept here know no command ${id}`, {
        details: ["see: xtask commands"],
      });
    },
  );
}

/** Wishes a command to end wherever it runs. By node, what came of the wish. */
export async function cancelCommand(fleet: Fleet, id: string): Promise<Readonly<Record<string, string>>> {
  return await orAlone(
    async () => (await fleet.hub("command", "cancel", { id }, Outcomes, { timeoutMs: CANCEL_MS })).outcomes,
    async () => {
      const { runs } = await commandOf(fleet, id);
      return Object.fromEntries(
        await Promise.all(
          Object.entries(runs).map(async ([node, { state }]) =>
            [node, isTerminal(state) ? "already_done" : await cancelOn(fleet.bus, node, id)] as const
          ),
        ),
      );
    },
  );
}

async function orAlone<T>(askHub: () => Promise<T>, alone: () => Promise<T>): Promise<T> {
  try {
    return await askHub();
  } catch (error) {
    const { code } = XtaskError.from(error);
    if (code !== "unavailable" && code !== "timeout") throw error;
    return await alone().catch((other) => {
      // That nobody knows it is said; that nothing can be read is the same trouble once more.
      throw XtaskError.from(other).code === "not_found" ? other : error;
    });
  }
}

async function recordsOf({ bus }: Fleet): Promise<Map<string, CommandRecord>> {
  const records = new Map<string, CommandRecord>();
  const sequence = Math.max(1, await lastSequence(bus, STREAM.events) - EVENTS_MAX);
  for await (const message of readStream(bus, STREAM.events, { subjects: [storedEvents("*")], from: { sequence } })) {
    const event = parseJson(Event, new TextDecoder().decode(message.data), "event");
    if (!isCommandEvent(event)) continue;
    const before = records.get(event.command);
    if (mayTell(lastToken(message.subject), event, before)) records.set(event.command, applyEvent(before, event));
  }
  return records;
}
