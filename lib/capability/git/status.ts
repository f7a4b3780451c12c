/** What `git status --porcelain=v2 --branch -z` prints, as data. */
import * as v from "valibot";

/** A file that differs. */
export const Change = v.object({
  path: v.string(),
  state: v.picklist(["modified", "added", "deleted", "renamed", "copied", "retyped", "untracked", "conflicted"]),
  from: v.optional(v.pipe(v.string(), v.description("Where a renamed or copied file was"))),
});
/** A file that differs. */
export type Change = v.InferOutput<typeof Change>;

/** A working folder. */
export const Status = v.object({
  branch: v.optional(v.pipe(v.string(), v.description("Left out where no branch is checked out"))),
  head: v.optional(v.pipe(v.string(), v.description("The commit; left out before the first"))),
  upstream: v.optional(v.string()),
  ahead: v.number(),
  behind: v.number(),
  clean: v.boolean(),
  changes: v.array(Change),
  truncated: v.pipe(v.boolean(), v.description("Whether there are more changes than listed")),
});
/** A working folder. */
export type Status = v.InferOutput<typeof Status>;

/** The result has to fit into a message, and nobody reads more. */
const CHANGES_MAX = 1_000;
const PATHS_CHARS_MAX = 60_000;

/**
 * Reads it.
 *
 * @param cut Whether the text was cut off; then its last record is not whole
 */
export function readStatus(text: string, { cut = false } = {}): Status {
  const records = text.split("\0");
  // What follows the last NUL: nothing, or the beginning of a record.
  records.pop();
  const status: Status = { ahead: 0, behind: 0, clean: true, changes: [], truncated: cut };
  let chars = 0;
  for (let at = 0; at < records.length; at++) {
    const record = records[at] ?? "";
    if (record.startsWith("# ")) {
      readHeader(record.slice(2), status);
      continue;
    }
    const from = record.startsWith("2 ") ? records[++at] : undefined;
    const change = readChange(record, from);
    if (change === undefined) continue;
    status.clean = false;
    chars += change.path.length + (from?.length ?? 0);
    if (status.changes.length === CHANGES_MAX || chars > PATHS_CHARS_MAX) {
      status.truncated = true;
      break;
    }
    status.changes.push(change);
  }
  return status;
}

function readHeader(header: string, status: Status): void {
  const [name = "", ...words] = header.split(" ");
  const value = words.join(" ");
  if (name === "branch.oid" && value !== "(initial)") status.head = value;
  if (name === "branch.head" && value !== "(detached)") status.branch = value;
  if (name === "branch.upstream") status.upstream = value;
  if (name === "branch.ab") {
    const [, ahead, behind] = /^\+(\d+) -(\d+)$/.exec(value) ?? [];
    status.ahead = Number(ahead ?? 0);
    status.behind = Number(behind ?? 0);
  }
}

/** So many words, one space apart, stand before the path. */
const WORDS_BEFORE_PATH: Readonly<Record<string, number>> = { "1": 8, "2": 9, "u": 10, "?": 1 };

function readChange(record: string, from: string | undefined): Change | undefined {
  const kind = record.slice(0, 1);
  const before = WORDS_BEFORE_PATH[kind];
  if (before === undefined) return undefined;
  const words = record.split(" ");
  const path = words.slice(before).join(" ");
  if (path === "") return undefined;
  if (kind === "?") return { path, state: "untracked" };
  if (kind === "u") return { path, state: "conflicted" };
  return { path, state: stateOf(words[1] ?? ""), ...(from === undefined ? {} : { from }) };
}

/** Two letters, of the index and of the working folder; a dot where nothing has changed. The earlier in this list wins. */
const STATES = { R: "renamed", C: "copied", A: "added", D: "deleted", T: "retyped" } as const;

function stateOf(letters: string): Change["state"] {
  for (const [letter, state] of Object.entries(STATES)) if (letters.includes(letter)) return state;
  return "modified";
}
