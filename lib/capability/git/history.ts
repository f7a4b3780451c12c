/** What `git log` prints in the format that we ask for, as data. */
import * as v from "valibot";

/** A commit. */
export const Commit = v.object({
  commit: v.string(),
  author: v.string(),
  at: v.pipe(v.string(), v.description("When it was written, RFC 3339 UTC")),
  subject: v.string(),
});
/** A commit. */
export type Commit = v.InferOutput<typeof Commit>;

/** For `git log -z`: NUL behind every field, since it is the one character that none of them can hold. */
export const FORMAT = "--format=%H%x00%an%x00%at%x00%s";
const FIELDS = 4;
const AUTHOR_CHARS_MAX = 80;
const SUBJECT_CHARS_MAX = 300;

/** Reads it. A commit that was cut off is left out. */
export function readHistory(text: string): Commit[] {
  const fields = text.split("\0");
  const commits: Commit[] = [];
  // One more field than is whole stands behind the last NUL.
  for (let at = 0; at + FIELDS < fields.length; at += FIELDS) {
    const [commit = "", author = "", seconds = "", subject = ""] = fields.slice(at, at + FIELDS);
    const date = new Date(Number(seconds) * 1_000);
    commits.push({
      commit,
      author: author.slice(0, AUTHOR_CHARS_MAX),
      // A commit may claim any time, even one that no calendar has.
      at: (Number.isNaN(date.getTime()) ? new Date(0) : date).toISOString(),
      subject: subject.slice(0, SUBJECT_CHARS_MAX),
    });
  }
  return commits;
}
