/**
 * The schedules that a node holds: kept in its journal, run by its own clock. Nothing here asks the hub, so they go on while
 * it is away and through restarts. The command of each time has an id of its own, which is why it is started once.
 */
import * as v from "valibot";
import type { Capability } from "../../capability/define.ts";
import { pause } from "../../os/pause.ts";
import type { By } from "../../protocol/by.ts";
import { XtaskError } from "../../protocol/error.ts";
import { newCommandId } from "../../protocol/id.ts";
import { SCHEDULES_MAX } from "../../protocol/limits.ts";
import { parse, parseJson } from "../../protocol/parse.ts";
import { commandAt, Schedule, type ScheduleInput } from "../../protocol/schedule.ts";
import type { Journal } from "../journal.ts";
import type { Runs } from "../runs.ts";
import { assertTimes, dueAt, nextAfter } from "./times.ts";

/** What {@linkcode Schedules} needs. */
export interface SchedulesOptions {
  readonly journal: Pick<Journal, "setting" | "setSetting">;
  readonly runs: Pick<Runs, "submit" | "ids">;
  /** The capabilities that this node offers. */
  readonly capabilities: ReadonlyMap<string, Capability>;
  /** Why no new commands are taken, or undefined. */
  readonly refusing: () => string | undefined;
  readonly now: () => number;
  /** Hears that the node's record has changed. */
  readonly onChange: () => void;
  readonly log: (level: "info" | "warn", message: string) => void;
}

const Kept = v.array(v.object({ ...Schedule.entries, /** Times up to here are done with. */ after: v.number() }));
type Kept = v.InferOutput<typeof Kept>[number];

const SETTING = "schedules";
/** The clock may be set, and the machine may sleep: so it is looked at this often, whatever is due when. */
const LOOK_MS = 20_000;

/** The schedules of one node. */
export class Schedules implements AsyncDisposable {
  readonly #options: SchedulesOptions;
  readonly #stop = new AbortController();
  #kept: ReadonlyMap<string, Kept>;
  #changed = new AbortController();
  #running: Promise<void> | undefined;
  /** One change after the other: each is made of what the one before has left. */
  #turn: Promise<void> = Promise.resolve();

  constructor(options: SchedulesOptions) {
    this.#options = options;
    const saved = options.journal.setting(SETTING);
    const kept = saved === undefined ? [] : parseJson(Kept, saved, "saved schedules");
    this.#kept = new Map(kept.map((one) => [one.name, one]));
  }

  /** As the node's record tells them, by name. */
  get all(): Schedule[] {
    return [...this.#kept.values()].map(({ after: _, ...schedule }) => schedule)
      .sort((a, b) => a.name < b.name ? -1 : 1);
  }

  /** Begins to look at the clock: what passed while the agent did not run comes first. */
  begin(): void {
    this.#running ??= this.#run();
  }

  /**
   * Sets a schedule, in place of another of its name.
   *
   * @throws {XtaskError} `invalid` for what tells no times, `exhausted` where there are too many
   */
  async set({ id, ...asked }: ScheduleInput, by: By | undefined): Promise<void> {
    const { now, log } = this.#options;
    const zone = asked.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
    assertTimes({ ...asked, zone }, now());
    const kept: Kept = {
      ...asked,
      id: id ?? newCommandId(now()),
      zone,
      ...(by === undefined ? {} : { by }),
      after: now(),
    };
    await this.#change((all) => {
      if (!all.has(kept.name) && all.size >= SCHEDULES_MAX) {
        throw new XtaskError("exhausted", `A node holds at most ${SCHEDULES_MAX} schedules`, {
          details: ["take one away: xtask schedules rm NAME --on ID", "or let one task do several things"],
        });
      }
      return new Map([...all, [kept.name, timed(kept)]]);
    });
    log("info", `schedule ${kept.name} (${kept.cron}, ${zone}) set${by === undefined ? "" : ` by ${by.user}`}`);
  }

  /** @throws {XtaskError} `not_found` */
  async remove(name: string): Promise<void> {
    if (!this.#kept.has(name)) {
      throw new XtaskError("not_found", `This node has no schedule '${name}'`, {
        details: [this.#kept.size === 0 ? "it has none" : `it has ${[...this.#kept.keys()].join(", ")}`],
      });
    }
    await this.#change((all) => new Map([...all].filter(([other]) => other !== name)));
    this.#options.log("info", `schedule ${name} removed`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    this.#changed.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { now, log } = this.#options;
    while (!this.#stop.signal.aborted) {
      // What changes from here on is looked at before the next rest.
      const changed = this.#changed.signal;
      let again = LOOK_MS;
      for (const { name } of this.all) {
        const kept = this.#kept.get(name);
        if (kept === undefined) continue;
        try {
          const next = await this.#look(kept);
          again = Math.min(again, next - now());
        } catch (error) {
          // Its time stands, and is looked at again: the command's id says whether it was given already.
          log("warn", `schedule ${name}: ${(error as Error).message}`);
        }
      }
      await pause(Math.max(1, again), changed);
    }
  }

  /**
   * Gives the command of a time that has come, once: its id tells the journal whether it was given before.
   *
   * @returns When to look again at the latest
   */
  async #look(kept: Kept): Promise<number> {
    const { now, runs, log } = this.#options;
    const due = dueAt(kept, kept.after, now());
    if (due === undefined) return nextAfter(kept, kept.after) ?? Infinity;
    const at = new Date(due.at).toISOString();
    const command = commandAt(kept.id, due.at);
    let given = false;
    if (due.late && kept.missed === "skip") {
      log("warn", `schedule ${kept.name}: ${at} passed while the agent did not run, and is skipped`);
    } else if (kept.lastCommand !== undefined && runs.ids.includes(kept.lastCommand)) {
      log("warn", `schedule ${kept.name}: ${at} is skipped, as ${kept.lastCommand} still runs`);
    } else {
      given = await this.#give(kept, command).then(() => true, (error) => {
        log("warn", `schedule ${kept.name}: ${at} is skipped: ${(error as Error).message}`);
        return false;
      });
    }
    const done = timed({ ...kept, after: due.at, lastAt: at, ...(given ? { lastCommand: command } : {}) });
    // Somebody may have set it anew, or taken it away, meanwhile.
    await this.#change((all) => all.get(kept.name) === kept ? new Map([...all, [kept.name, done]]) : all);
    return now();
  }

  /** @throws {XtaskError} What anybody else who asked for it now would be told */
  async #give({ name, capability: word, verb, input, by }: Kept, id: string): Promise<void> {
    const { runs, capabilities, refusing } = this.#options;
    const refused = refusing();
    if (refused !== undefined) throw new XtaskError("unavailable", `the node takes no commands: ${refused}`);
    const capability = capabilities.get(word);
    const definition = capability?.verbs[verb];
    if (capability === undefined || definition === undefined) {
      throw new XtaskError("not_found", `the node does not offer ${word}.${verb} any more`);
    }
    const given = { id, capability, verb, input: parse(definition.input, input, `input of ${word}.${verb}`) };
    await runs.submit({ ...given, schedule: name, ...(by === undefined ? {} : { by }) });
  }

  async #change(change: (kept: ReadonlyMap<string, Kept>) => ReadonlyMap<string, Kept>): Promise<void> {
    const turn = this.#turn.then(async () => {
      const kept = change(this.#kept);
      await this.#options.journal.setSetting(SETTING, JSON.stringify([...kept.values()]));
      this.#kept = kept;
      this.#changed.abort();
      if (!this.#stop.signal.aborted) this.#changed = new AbortController();
      this.#options.onChange();
    });
    this.#turn = turn.catch(() => {});
    await turn;
  }
}

/** With the time at which it is next due. */
function timed({ nextAt: _, ...kept }: Kept): Kept {
  const next = nextAfter(kept, kept.after);
  return next === undefined ? kept : { ...kept, nextAt: new Date(next).toISOString() };
}
