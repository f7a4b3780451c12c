/** Who asked for something. */
import * as v from "valibot";
import { isId } from "./id.ts";

/** The header with the asker's name: the asker's own word. */
export const USER_HEADER = "Xtask-User";

/** Who asked for something. */
export const By = v.object({
  user: v.string(),
  /** Whether the server let nobody else say so; else it is the asker's own word. */
  proven: v.boolean(),
});
/** Who asked for something. */
export type By = v.InferOutput<typeof By>;

/**
 * Who asks. The server lets people end a subject of five words with their own name alone (`ROLE_SUBJECTS`), so that a name
 * there is proof of who asks; one in a header is not.
 *
 * @param author The fifth word of the subject, where it has one
 */
export function byOf(
  author: string | undefined,
  message: { header(name: string): string | undefined },
): By | undefined {
  if (author !== undefined) return isId(author) ? { user: author, proven: true } : undefined;
  const user = message.header(USER_HEADER);
  return user !== undefined && isId(user) ? { user, proven: false } : undefined;
}
