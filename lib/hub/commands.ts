/** The commands of a project as the hub knows them: a bounded projection of the event stream. */
import type { Event } from "../protocol/event.ts";
import { XtaskError } from "../protocol/error.ts";
import type { CommandRecord } from "../protocol/run.ts";
import { stateOf } from "../protocol/move.ts";
import { applyEvent, type CommandEvent, isCommandEvent, mayTell } from "../protocol/projection.ts";
import { timeOfUlid } from "../protocol/ulid.ts";

/** Newest commands kept in memory; older ones stay in the stream. */
const KEPT_MAX = 5_000;

/** Older ones may have waited for their node. */
const YOUNG_MS = 5 * 60_000;

/** Which commands are wanted. */
export interface CommandQuery {
  readonly limit: number;
  readonly node?: string | undefined;
  readonly state?: string | undefined;
}

/** The newest commands. */
export class Commands {
  /** In the order of their first event. */
  readonly #records = new Map<string, CommandRecord>();
  /** Held here too, since a record may leave the memory before it is written. */
  readonly #changed = new Map<string, CommandRecord>();
  /** By id, those who wait for the first word of a command. */
  readonly #awaited = new Map<string, Set<(record: CommandRecord) => void>>();
  /** Those who wait for what has been told. */
  readonly #behind = new Set<() => void>();
  #derived = 0;
  /** Sequence of the last event that is in the records. */
  applied = 0;

  /**
   * Takes an event of the stream.
   *
   * @param stored The command's record, where it is no longer in memory: see {@linkcode Commands.lacks}
   * @param author Whom the server let publish it
   * @throws {XtaskError} `forbidden` where it tells of another node's run
   */
  apply(event: Event, sequence: number, author: string, stored?: CommandRecord): void {
    this.applied = Math.max(this.applied, sequence);
    if (!isCommandEvent(event)) return;
    const before = this.#records.get(event.command) ?? this.#changed.get(event.command) ?? stored;
    if (!mayTell(author, event, before)) {
      throw new XtaskError("forbidden", `An event about a run on '${event.node}' came from '${author}'`);
    }
    const record = applyEvent(before, event);
    this.#records.set(event.command, record);
    this.#changed.set(event.command, record);
    for (const hear of this.#awaited.get(event.command) ?? []) hear(record);
    if (this.#records.size > KEPT_MAX) {
      const [oldest] = this.#records.keys();
      if (oldest !== undefined) this.#records.delete(oldest);
    }
  }

  /** Whether the event goes on with a command that is not in memory: its record has to be looked up first. */
  lacks(event: Event): event is CommandEvent {
    if (!isCommandEvent(event)) return false;
    // The first word of nearly every command; of one that waited for long it is not.
    if (
      ["command_accepted", "command_queued"].includes(event.type) &&
      Date.parse(event.at) - timeOfUlid(event.command) < YOUNG_MS
    ) return false;
    return !this.#records.has(event.command) && !this.#changed.has(event.command);
  }

  get(id: string): CommandRecord | undefined {
    return this.#records.get(id);
  }

  /** The record as soon as there is one; undefined where the signal fires first. */
  async heard(id: string, signal: AbortSignal): Promise<CommandRecord | undefined> {
    const known = this.get(id);
    if (known !== undefined || signal.aborted) return known;
    const { promise, resolve } = Promise.withResolvers<CommandRecord | undefined>();
    const waiting = this.#awaited.get(id) ?? new Set();
    this.#awaited.set(id, waiting.add(resolve));
    signal.addEventListener("abort", () => resolve(undefined), { once: true });
    const record = await promise;
    waiting.delete(resolve);
    if (waiting.size === 0) this.#awaited.delete(id);
    return record;
  }

  /** An event was read, whatever became of it. `derived` is its sequence in the stream that nodes write to. */
  passed(derived: number): void {
    this.#derived = Math.max(this.#derived, derived);
    for (const look of this.#behind) look();
  }

  /** Resolves when an event of the stream that nodes write to has been read, and all before it, or the signal fires. */
  async caughtUpWith(derived: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => {
      if (this.#derived >= derived || signal.aborted) resolve();
    };
    this.#behind.add(look);
    signal.addEventListener("abort", look, { once: true });
    look();
    await promise;
    this.#behind.delete(look);
  }

  /** Newest first. Ids sort by time. */
  list({ limit, node, state }: CommandQuery): CommandRecord[] {
    return [...this.#records.values()]
      .filter((record) => listed(record, node, state))
      .sort((a, b) => a.id < b.id ? 1 : -1)
      .slice(0, limit);
  }

  /** The records that changed since the last call. */
  takeChanged(): CommandRecord[] {
    const records = [...this.#changed.values()];
    this.#changed.clear();
    return records;
  }

  /** Hands records out again that could not be written, unless they have changed since. */
  notWritten(records: readonly CommandRecord[]): void {
    for (const record of records) if (!this.#changed.has(record.id)) this.#changed.set(record.id, record);
  }
}

function listed({ move, runs }: CommandRecord, node: string | undefined, state: string | undefined): boolean {
  const meant = Object.entries(runs).filter(([id]) => node === undefined || id === node);
  // One that may move is in one state, wherever it was; it may have been nowhere yet.
  if (move !== undefined) {
    return (node === undefined || meant.length > 0) && (state === undefined || stateOf({ move, runs }) === state);
  }
  return meant.length > 0 && (state === undefined || meant.some(([, run]) => run.state === state));
}
