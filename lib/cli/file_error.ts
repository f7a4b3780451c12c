/** What the system refuses to do with a file, as an error that somebody can do something about. */
import { XtaskError } from "../protocol/error.ts";

const NO_ROOM = ["ENOSPC", "EDQUOT"];
const NOT_ALLOWED = ["EACCES", "EPERM", "EROFS"];

/** Whatever was thrown, as an XtaskError; a full disk and a folder that may not be written are no errors of the program. */
export function explained(thrown: unknown): XtaskError {
  const error = XtaskError.from(thrown);
  const { code = "", message = "" } = error.code === "internal" && error.cause instanceof Error
    ? error.cause as Error & { code?: string }
    : {};
  const refused = (kind: "exhausted" | "forbidden", ...details: string[]) =>
    new XtaskError(kind, message, { details: [...details, "see what is wrong: xtask doctor"], cause: error.cause });
  if (NO_ROOM.includes(code)) {
    return refused("exhausted", "free some space, or set XTASK_HOME to a folder on a disk that has it");
  }
  if (NOT_ALLOWED.includes(code)) return refused("forbidden", "set XTASK_HOME to a folder that you may write to");
  return error;
}
