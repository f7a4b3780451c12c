/** A journal that is damaged: what can be read of it goes into a new one, and it is set aside. */
import { DatabaseSync } from "node:sqlite";
import { XtaskError } from "../protocol/error.ts";
import { DamagedError, Journal, type Row, type Rows, SUMMED, sumOf } from "./journal.ts";

/** Options of {@linkcode openJournal}. */
export interface OpenJournalOptions {
  readonly now: () => number;
  /** Hears what happened, in words for a person. */
  readonly onDamage: (message: string) => void;
}

/**
 * Opens a journal, or a new one with what can be read of a damaged one: a node that nobody is near must come up.
 *
 * @throws {XtaskError} `internal` where the disk does not let it
 */
export function openJournal(path: string, { now, onDamage }: OpenJournalOptions): Journal {
  try {
    return new Journal(path, { now });
  } catch (error) {
    if (!(error instanceof XtaskError && error.cause instanceof DamagedError)) throw error;
    const aside = `${path}.damaged-${new Date(now()).toISOString().replaceAll(/[:.]/g, "-")}`;
    // Its newest pages may be in the file beside it. Once that has been moved nothing of it is taken for the new one's.
    for (const end of ["", "-wal", "-shm"]) moveIfThere(`${path}${end}`, `${aside}${end}`);
    const journal = new Journal(path, { now });
    journal.take(readable(aside));
    onDamage(
      `The node's journal was damaged (${error.cause.message}). What could be read of it goes on; of the rest, results and ` +
        `reports may be lost, and a command that is asked again with its id may run again. The damaged one is ${aside}`,
    );
    return journal;
  }
}

/** What is still what was written. */
function readable(path: string): Rows {
  const rows: Record<string, Row[]> = {};
  let db: DatabaseSync;
  try {
    lengthen(path);
    db = new DatabaseSync(path);
  } catch {
    // It is nothing that could be read.
    return rows;
  }
  for (const [table, [key, ...others]] of Object.entries(SUMMED)) {
    const found = new Map<unknown, Row>();
    // From both ends up to what cannot be read.
    for (const order of ["ASC", "DESC"]) {
      try {
        for (const row of db.prepare(`SELECT * FROM ${table} ORDER BY rowid ${order}`).iterate()) {
          if (row.sum === sumOf(row[key], ...others.map((name) => row[name]))) found.set(row[key], row);
        }
      } catch {
        // The other end, or another table, may have more.
      }
    }
    rows[table] = [...found.values()];
  }
  db.close();
  return rows;
}

/** SQLite reads nothing of a file that was cut. With zeros for what is missing it reads the rest. */
function lengthen(path: string): void {
  using file = Deno.openSync(path, { read: true, write: true });
  const header = new Uint8Array(32);
  if (file.readSync(header) !== header.length) return;
  const view = new DataView(header.buffer);
  // 1 stands for 65,536.
  const pageBytes = view.getUint16(16) === 1 ? 65_536 : view.getUint16(16);
  const bytes = pageBytes * view.getUint32(28);
  const { size } = file.statSync();
  if (new TextDecoder().decode(header).startsWith("SQLite format 3") && bytes > size) file.truncateSync(bytes);
}

function moveIfThere(from: string, to: string): void {
  try {
    Deno.renameSync(from, to);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
