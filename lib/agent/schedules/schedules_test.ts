import assert from "node:assert/strict";
import silent from "../../capability/silent.ts";
import { until } from "../../../tests/until.ts";
import { XtaskError } from "../../protocol/error.ts";
import { SCHEDULES_MAX } from "../../protocol/limits.ts";
import { parse } from "../../protocol/parse.ts";
import { commandAt, ScheduleInput } from "../../protocol/schedule.ts";
import { Journal } from "../journal.ts";
import type { Command } from "../runs.ts";
import { Schedules } from "./schedules.ts";

const NOON = Date.parse("2026-01-10T12:00:00Z");
const ID = "01JAAAAAAA0123456789ABCDEF";

/** Schedules with a clock that stands where it is set, at first just before noon, and what they asked for. */
class Ground implements AsyncDisposable {
  readonly asked: Command[] = [];
  readonly lines: string[] = [];
  readonly journal: Journal;
  schedules: Schedules;
  ids: string[] = [];
  refused: XtaskError | undefined;
  refusing: string | undefined;
  clock = NOON - 50;

  constructor(journal = new Journal(":memory:")) {
    this.journal = journal;
    this.schedules = this.open();
  }

  open(): Schedules {
    const runs = {
      ids: this.ids,
      submit: (command: Command) => {
        if (this.refused !== undefined) return Promise.reject(this.refused);
        this.asked.push(command);
        return Promise.resolve({} as never);
      },
    };
    return this.schedules = new Schedules({
      journal: this.journal,
      runs,
      capabilities: new Map([["silent", silent]]),
      refusing: () => this.refusing,
      now: () => this.clock,
      onChange: () => {},
      log: (level, message) => void this.lines.push(`${level} ${message}`),
    });
  }

  /** As an agent that stops and starts again. */
  async restart(): Promise<void> {
    await this.schedules[Symbol.asyncDispose]();
    this.open().begin();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.schedules[Symbol.asyncDispose]();
    this.journal[Symbol.dispose]();
  }
}

const input = (more: Partial<ScheduleInput> = {}) =>
  parse(ScheduleInput, {
    ...{ id: ID, name: "noon", cron: "0 12 * * *", zone: "UTC", capability: "silent", verb: "exec" },
    input: { command: ["true"] },
    ...more,
  }, "schedule");

Deno.test("a schedule gives its command when its time comes, under the id of that time", async () => {
  await using ground = new Ground();
  ground.schedules.begin();
  await ground.schedules.set(input(), { user: "olga", proven: true });
  assert.equal(ground.schedules.all[0]?.nextAt, "2026-01-10T12:00:00.000Z");
  ground.clock = NOON;
  await until("the command", () => ground.asked.length === 1);
  const [command] = ground.asked;
  assert.equal(command?.id, commandAt(ID, NOON));
  assert.deepEqual([command?.schedule, command?.by?.user, command?.verb], ["noon", "olga", "exec"]);
  await until("the next time", () => ground.schedules.all[0]?.nextAt === "2026-01-11T12:00:00.000Z");
  assert.equal(ground.schedules.all[0]?.lastCommand, command?.id);
});

Deno.test("a time that passes while the agent does not run is skipped and told, or run once", async () => {
  await using ground = new Ground();
  await ground.schedules.set(input(), undefined);
  await ground.schedules.set(input({ name: "catches-up", missed: "run" }), undefined);
  ground.clock = NOON + 50 * 60 * 60_000;
  await ground.restart();
  await until("both to be looked at", () => ground.schedules.all.every(({ lastAt }) => lastAt !== undefined));
  assert.deepEqual(ground.asked.map(({ id, schedule }) => [id, schedule]), [
    [commandAt(ID, NOON + 48 * 60 * 60_000), "catches-up"],
  ]);
  assert.ok(ground.lines.some((line) => line.includes("noon") && line.includes("is skipped")), ground.lines.join("\n"));
});

Deno.test("a time is skipped while the run before goes on, and where the node takes nothing", async () => {
  await using ground = new Ground();
  const minutely = input({ cron: "* * * * *" });
  await ground.schedules.set(minutely, undefined);
  ground.schedules.begin();
  ground.clock = NOON;
  await until("the first", () => ground.schedules.all[0]?.lastCommand !== undefined);
  ground.ids.push(commandAt(ID, NOON));
  const next = async (word: string) => {
    const noon = () => ground.schedules.all.find(({ name }) => name === "noon");
    const { nextAt = "" } = noon() ?? {};
    ground.clock = Date.parse(nextAt);
    // Whoever sets the clock wakes nobody; setting another schedule does.
    await ground.schedules.set(input({ name: "other", cron: "0 0 1 1 *" }), undefined);
    await until(word, () => noon()?.lastAt === nextAt);
    assert.ok(ground.lines.some((line) => line.includes(word)), ground.lines.join("\n"));
  };
  await next("still runs");
  ground.ids.pop();
  ground.refusing = "it is draining";
  await next("it is draining");
  ground.refusing = undefined;
  ground.refused = new XtaskError("exhausted", "256 commands wait already");
  await next("256 commands wait already");
  assert.equal(ground.asked.length, 1);
});

Deno.test("a schedule replaces another of its name, goes when it is told to, and there are only so many", async () => {
  await using ground = new Ground();
  await ground.schedules.set(input(), undefined);
  await ground.schedules.set(input({ cron: "@weekly" }), undefined);
  assert.deepEqual(ground.schedules.all.map(({ cron }) => cron), ["@weekly"]);
  await ground.schedules.remove("noon");
  await assert.rejects(ground.schedules.remove("noon"), /no schedule 'noon'/);
  for (let n = 0; n < SCHEDULES_MAX; n++) await ground.schedules.set(input({ name: `s${n}` }), undefined);
  await assert.rejects(ground.schedules.set(input({ name: "more" }), undefined), { code: "exhausted" });
  await ground.schedules.set(input({ name: "s0", cron: "@daily" }), undefined);
});
