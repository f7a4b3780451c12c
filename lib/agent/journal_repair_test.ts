import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { newCommandId } from "../protocol/id.ts";
import { type Accepted, Journal, type Report } from "./journal.ts";
import { openJournal } from "./journal_repair.ts";

const AT = "2026-01-01T00:00:00.000Z";
const RUNS = 120;

const accepted = (): Accepted => ({
  ...{ id: newCommandId(), capability: "task", verb: "run", input: { args: ["build"] }, attempt: 1, acceptedAt: AT },
});
const report = (seq: number): Report => ({
  ...{ seq, subject: `s.${seq}`, headers: { a: "b" }, payload: new Uint8Array(300).fill(seq) },
});

/** A journal with runs, reports and a setting in it, closed. */
async function journalIn(stack: AsyncDisposableStack): Promise<{ path: string; runs: Accepted[] }> {
  const dir = await Deno.makeTempDir();
  stack.defer(() => Deno.remove(dir, { recursive: true }));
  const path = `${dir}/journal.sqlite`;
  const runs = Array.from({ length: RUNS }, accepted);
  using journal = new Journal(path);
  for (const run of runs) await journal.accept(run);
  await journal.keep(Array.from({ length: RUNS }, (_, n) => report(n + 1)));
  await journal.setSetting("incarnation", "abc");
  return { path, runs };
}

/** Changes a bit some bytes into what is found. */
function flip(bytes: Uint8Array, what: string | RegExp): void {
  const at = new TextDecoder("latin1").decode(bytes).search(
    typeof what === "string" ? what.replaceAll(/[{}]/g, "") : what,
  );
  assert.ok(at > 0, `${what} is there`);
  bytes[at + 15]! ^= 1;
}

function reopened(path: string): { journal: Journal; told: string[] } {
  const told: string[] = [];
  return { journal: openJournal(path, { now: () => Date.parse(AT), onDamage: (message) => told.push(message) }), told };
}

Deno.test("a sound journal is opened as it is, and nothing is told", async () => {
  await using stack = new AsyncDisposableStack();
  const { path, runs } = await journalIn(stack);
  const { journal, told } = reopened(path);
  using _journal = journal;
  assert.deepEqual([told, journal.unfinished().length], [[], runs.length]);
});

Deno.test("one bit that changed is found by the sums: that record is left out, the others go on, and it is told", async () => {
  await using stack = new AsyncDisposableStack();
  const { path, runs } = await journalIn(stack);
  const bytes = await Deno.readFile(path);
  // Within the input of one run: SQLite itself sees nothing wrong with it.
  flip(bytes, `"id":"${runs[50]?.id}"`);
  await Deno.writeFile(path, bytes);
  const { journal, told } = reopened(path);
  using _journal = journal;
  const left = journal.unfinished().map(({ accepted: { id } }) => id);
  assert.equal(left.length, RUNS - 1);
  assert.deepEqual(left.sort(), runs.map(({ id }) => id).filter((id) => left.includes(id)).sort());
  assert.equal(journal.reports({ from: 0, maxBytes: 1e9 }).length, RUNS);
  assert.equal(journal.setting("incarnation"), "abc");
  assert.match(told.join(), /was damaged \(1 records of runs .*may run again.*journal\.sqlite\.damaged-2026-/);
  assert.equal(
    (await Deno.stat(`${path}.damaged-2026-01-01T00-00-00-000Z`)).size,
    bytes.length,
    "it is set aside whole",
  );
});

Deno.test("one bit that changed in an index loses nothing: it is made anew", async () => {
  await using stack = new AsyncDisposableStack();
  const { path, runs } = await journalIn(stack);
  const bytes = await Deno.readFile(path);
  const id = runs[50]?.id ?? "";
  // Where the id stands without the rest of its record.
  flip(bytes, new RegExp(`(?<!")${id}(?!["{])`));
  await Deno.writeFile(path, bytes);
  const { journal, told } = reopened(path);
  using _journal = journal;
  assert.deepEqual([told.length, journal.unfinished().length], [1, RUNS]);
  assert.equal(journal.find(id)?.accepted.id, id);
});

Deno.test("of a journal that was cut or torn, what can be read goes on; of what is no journal nothing does", async () => {
  await using stack = new AsyncDisposableStack();
  for (const harm of ["cut", "torn", "foreign"] as const) {
    const { path, runs } = await journalIn(stack);
    const bytes = await Deno.readFile(path);
    if (harm === "cut") await Deno.truncate(path, Math.floor(bytes.length / 2));
    if (harm === "torn") await Deno.writeFile(path, bytes.fill(0xa5, 6 * 4096, 8 * 4096));
    if (harm === "foreign") await Deno.writeTextFile(path, "a note that somebody put here\n".repeat(500));
    const { journal, told } = reopened(path);
    using _journal = journal;
    assert.equal(told.length, 1, harm);
    const left = journal.unfinished();
    const ids = new Set(runs.map(({ id }) => id));
    assert.ok(left.every(({ accepted: { id } }) => ids.has(id)), `${harm}: nothing is made up`);
    const reports = journal.reports({ from: 0, maxBytes: 1e9 });
    assert.ok(reports.every(({ seq, payload }) => payload.every((byte) => byte === seq % 256)));
    if (harm === "foreign") assert.deepEqual([left.length, reports.length], [0, 0]);
    else assert.ok(left.length + reports.length > RUNS / 2, `${harm}: ${left.length} runs, ${reports.length} reports`);
    const one = accepted();
    await journal.accept(one);
    assert.deepEqual(journal.find(one.id), { accepted: one }, "it can be written");
  }
});

Deno.test("a journal of a version that summed nothing is taken over", async () => {
  await using stack = new AsyncDisposableStack();
  const { path, runs } = await journalIn(stack);
  {
    const db = new DatabaseSync(path);
    for (const table of ["runs", "reports", "settings"]) db.exec(`ALTER TABLE ${table} DROP COLUMN sum`);
    db.close();
  }
  const { journal, told } = reopened(path);
  assert.deepEqual([told, journal.unfinished().length], [[], runs.length]);
  journal[Symbol.dispose]();
  new Journal(path)[Symbol.dispose]();
});
