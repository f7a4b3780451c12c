/**
 * What a node must not forget: the runs it accepted, their results, and the reports that the hub has not yet taken. One
 * SQLite file; what is awaited here is on disk. Writes of one turn share a transaction, so that a burst costs one flush. Each
 * row carries the sum of what it holds, which is looked at when the file is opened: a disk may give back something else.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from "node:sqlite";
import { setImmediate } from "node:timers";
import { crc32 } from "node:zlib";
import { REMEMBERED_RUNS } from "../protocol/limits.ts";
import { XtaskError } from "../protocol/error.ts";
import * as v from "valibot";
import { parseJson } from "../protocol/parse.ts";
import { Result } from "../protocol/run.ts";

/** A command as it was accepted. */
export const Accepted = v.object({
  id: v.string(),
  capability: v.string(),
  verb: v.string(),
  input: v.unknown(),
  attempt: v.number(),
  acceptedAt: v.string(),
  /** Given for one that outlives the agent: what the next one must know. */
  kept: v.optional(v.object({
    /** The start of the machine on which it was accepted, where that is known. */
    boot: v.optional(v.string()),
    /** Milliseconds since 1970. */
    deadline: v.optional(v.number()),
  })),
});
/** A command as it was accepted. */
export type Accepted = v.InferOutput<typeof Accepted>;

const ReportHeaders = v.record(v.string(), v.string());

/** A run that the journal knows: without a result it is running, or was when the agent died. */
export interface Known {
  readonly accepted: Accepted;
  readonly result?: Result;
}

/** A report on its way to the hub. Entries go out in the order of `seq`. */
export interface Report {
  readonly seq: number;
  readonly subject: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly payload: Uint8Array<ArrayBuffer>;
}

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY, accepted TEXT NOT NULL, result TEXT, at INTEGER NOT NULL, sum INTEGER
  ) STRICT;
  CREATE INDEX IF NOT EXISTS runs_unfinished ON runs (at) WHERE result IS NULL;
  CREATE TABLE IF NOT EXISTS reports (
    seq INTEGER PRIMARY KEY, subject TEXT NOT NULL, headers TEXT NOT NULL, payload BLOB NOT NULL,
    sum INTEGER
  ) STRICT;
  CREATE TABLE IF NOT EXISTS settings (
    key TEXT PRIMARY KEY, value TEXT NOT NULL, sum INTEGER
  ) STRICT;
`;
/** What the sum of a row is of, by table; its key first. Whoever changes one of these changes `sum` with it. */
export const SUMMED: Readonly<Record<string, readonly [key: string, ...others: string[]]>> = {
  runs: ["id", "accepted", "result"],
  reports: ["seq", "subject", "headers", "payload"],
  settings: ["key", "value"],
};
/** A row, by the names of its columns. */
export type Row = Readonly<Record<string, unknown>>;
/** Rows by table. */
export type Rows = Readonly<Record<string, readonly Row[]>>;
/** SQLite's words for a file that is damaged, and for one that is none of its own. Not every call tells its code. */
const DAMAGE = /malformed|file is not a database/;

/** A journal that is not what was written. */
export class DamagedError extends Error {}

/** The sum of values, as SQL asks for it. */
export function sumOf(...values: readonly unknown[]): number {
  return values.reduce<number>(
    (sum, value) => value === null ? sum : crc32(value instanceof Uint8Array ? value : String(value), sum),
    0,
  );
}

interface Write {
  readonly apply: () => void;
  readonly resolve: () => void;
  readonly reject: (error: XtaskError) => void;
}

/** What is asked of a journal. The simulator has one whose disk fails as it is told: see tests/simulation. */
export type JournalPort = Omit<Pick<Journal, keyof Journal>, "take">;

/** The journal of one agent. Its folder is locked by the agent, so nobody else writes here. */
export class Journal implements Disposable {
  readonly #db: DatabaseSync;
  /** Prepared once: it is asked for every command that comes. */
  readonly #find: StatementSync;
  readonly #now: () => number;
  #pending: Write[] = [];
  #flushing = false;
  #trouble: string | undefined;

  /**
   * Opens or makes the journal.
   *
   * @throws {XtaskError} `internal` where the file cannot be opened, by a {@linkcode DamagedError} where it is not what was
   * written; it is left as it is
   */
  constructor(path: string, { now = Date.now }: { now?: () => number } = {}) {
    this.#now = now;
    let db: DatabaseSync | undefined;
    try {
      this.#db = db = new DatabaseSync(path);
      // WAL with FULL: every commit is flushed, readers do not wait. The check finds torn and foreign pages at the start.
      this.#db.exec("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;");
      const check = this.#db.prepare("PRAGMA integrity_check(1)").get();
      if (check?.integrity_check !== "ok") throw new DamagedError(String(check?.integrity_check));
      this.#db.exec(SCHEMA);
      this.#db.function("sum_of", { varargs: true, deterministic: true }, sumOf);
      for (const [table, names] of Object.entries(SUMMED)) {
        const sum = `sum_of(${names.join(", ")})`;
        const columns = this.#db.prepare(`PRAGMA table_info(${table})`).all();
        if (!columns.some(({ name }) => name === "sum")) {
          // Of a version that summed nothing.
          this.#db.exec(`ALTER TABLE ${table} ADD COLUMN sum INTEGER; UPDATE ${table} SET sum = ${sum};`);
        }
        const altered = Number(
          this.#db.prepare(`SELECT count(*) AS count FROM ${table} WHERE sum IS NOT ${sum}`).get()?.count,
        );
        if (altered > 0) throw new DamagedError(`${altered} records of ${table} are not what was written`);
      }
      this.#find = this.#db.prepare("SELECT accepted, result FROM runs WHERE id = ?");
    } catch (thrown) {
      if (db?.isOpen) db.close();
      const { message } = thrown as Error;
      const cause = DAMAGE.test(message) ? new DamagedError(message) : thrown;
      throw new XtaskError("internal", `The journal ${path} cannot be opened: ${(cause as Error).message}`, {
        details: [
          "is the disk full? else move the file away to start a new journal; runs and reports in it are then lost",
        ],
        cause,
      });
    }
  }

  /** Why nothing could be written when it was tried last. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /**
   * Records a run before anything of it starts. Resolves when that is on disk. A later attempt at a command takes the place of
   * an earlier one, whose result has its reports.
   */
  accept(accepted: Accepted): Promise<void> {
    return this.#write(() => {
      if (accepted.attempt > 1) {
        this.#db.prepare("DELETE FROM runs WHERE id = ? AND result IS NOT NULL").run(accepted.id);
      }
      this.#db.prepare("INSERT INTO runs (id, accepted, at, sum) VALUES (?1, ?2, ?3, sum_of(?1, ?2, NULL))")
        .run(accepted.id, JSON.stringify(accepted), this.#now());
    });
  }

  /** Records how a run ended, together with the reports that tell of it. */
  finish(result: Result, reports: readonly Report[]): Promise<void> {
    return this.#write(() => {
      this.#db.prepare("UPDATE runs SET result = ?1, at = ?2, sum = sum_of(id, accepted, ?1) WHERE id = ?3")
        .run(JSON.stringify(result), this.#now(), result.id);
      this.#insert(reports);
      this.#db.prepare(
        "DELETE FROM runs WHERE id IN (SELECT id FROM runs WHERE result IS NOT NULL ORDER BY at DESC LIMIT -1 OFFSET ?)",
      ).run(REMEMBERED_RUNS);
    });
  }

  /** Keeps reports until {@linkcode drop}. */
  keep(reports: readonly Report[]): Promise<void> {
    return this.#write(() => this.#insert(reports));
  }

  /** Forgets reports that the hub has. */
  drop(seqs: readonly number[]): Promise<void> {
    return this.#write(() => {
      const remove = this.#db.prepare("DELETE FROM reports WHERE seq = ?");
      for (const seq of seqs) remove.run(seq);
    });
  }

  /** The run of a command id. */
  find(id: string): Known | undefined {
    const row = this.#find.get(id);
    return row === undefined ? undefined : known(row);
  }

  /** Runs without a result: at the start those that an earlier agent left. */
  unfinished(): Known[] {
    return this.#db.prepare("SELECT accepted, result FROM runs WHERE result IS NULL ORDER BY at").all().map(known);
  }

  /** Reports kept from `seq` on, in order, up to about so many bytes but at least one. */
  reports({ from, maxBytes }: { from: number; maxBytes: number }): Report[] {
    const found: Report[] = [];
    let bytes = 0;
    for (const row of this.#db.prepare("SELECT * FROM reports WHERE seq >= ? ORDER BY seq").iterate(from)) {
      const payload = row.payload as Uint8Array<ArrayBuffer>;
      bytes += payload.length;
      if (found.length > 0 && bytes > maxBytes) break;
      found.push({
        seq: Number(row.seq),
        subject: String(row.subject),
        headers: parseJson(ReportHeaders, String(row.headers), "journal"),
        payload,
      });
    }
    return found;
  }

  /** How much is kept for the hub. */
  backlog(): { readonly first?: number; readonly last?: number; readonly bytes: number } {
    const row = this.#db.prepare(
      "SELECT min(seq) AS first, max(seq) AS last, coalesce(sum(length(payload)), 0) AS bytes FROM reports",
    ).get();
    const bytes = Number(row?.bytes ?? 0);
    return row?.first == null ? { bytes } : { first: Number(row.first), last: Number(row.last), bytes };
  }

  /** A small value that outlives the agent. */
  setting(key: string): string | undefined {
    const row = this.#db.prepare("SELECT value FROM settings WHERE key = ?").get(key);
    return row === undefined ? undefined : String(row.value);
  }

  /** Keeps a small value. */
  setSetting(key: string, value: string): Promise<void> {
    return this.#write(() => {
      this.#db.prepare("INSERT OR REPLACE INTO settings (key, value, sum) VALUES (?1, ?2, sum_of(?1, ?2))")
        .run(key, value);
    });
  }

  /** Takes rows of another journal. */
  take(rows: Rows): void {
    this.#db.exec("BEGIN IMMEDIATE");
    for (const [table, all] of Object.entries(rows)) {
      for (const row of all) {
        const names = Object.keys(row);
        const values = Object.values(row) as SQLInputValue[];
        this.#db.prepare(`INSERT INTO ${table} (${names.join(", ")}) VALUES (${names.map(() => "?").join(", ")})`)
          .run(...values);
      }
    }
    this.#db.exec("COMMIT");
  }

  #insert(reports: readonly Report[]): void {
    const insert = this.#db.prepare(
      "INSERT OR IGNORE INTO reports (seq, subject, headers, payload, sum) VALUES (?1, ?2, ?3, ?4, sum_of(?1, ?2, ?3, ?4))",
    );
    for (const { seq, subject, headers, payload } of reports) {
      insert.run(seq, subject, JSON.stringify(headers), payload);
    }
  }

  #write(apply: () => void): Promise<void> {
    if (!this.#db.isOpen) return Promise.reject(new XtaskError("unavailable", "The agent has stopped"));
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#pending.push({ apply, resolve, reject });
    if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => this.#flush());
    }
    return promise;
  }

  #flush(): void {
    this.#flushing = false;
    const writes = this.#pending;
    this.#pending = [];
    // Closing has written them already.
    if (writes.length === 0) return;
    try {
      this.#db.exec("BEGIN IMMEDIATE");
      for (const { apply } of writes) apply();
      this.#db.exec("COMMIT");
    } catch (cause) {
      // A full disk may have rolled the transaction back already.
      if (this.#db.isTransaction) this.#db.exec("ROLLBACK");
      const error = new XtaskError("exhausted", `The node's journal cannot be written: ${(cause as Error).message}`, {
        details: ["free some space on the node's disk"],
        cause,
      });
      this.#trouble = (cause as Error).message;
      for (const { reject } of writes) reject(error);
      return;
    }
    this.#trouble = undefined;
    for (const { resolve } of writes) resolve();
  }

  /** Writes what is pending and closes the file. */
  [Symbol.dispose](): void {
    if (!this.#db.isOpen) return;
    this.#flush();
    this.#db.close();
  }
}

function known(row: Record<string, unknown>): Known {
  const accepted = parseJson(Accepted, String(row.accepted), "journal");
  return row.result === null ? { accepted } : { accepted, result: parseJson(Result, String(row.result), "journal") };
}
