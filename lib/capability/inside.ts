/** Keeps paths that came from outside below a node's folder. */
import { dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { XtaskError } from "../protocol/error.ts";

/**
 * The absolute path that `path` means below `dir`, with symlinks resolved. What does not exist yet is allowed, below a
 * folder that does. The answer holds for the moment it is given: whoever may write below `dir` can put a symlink there
 * afterwards, which only the operating system could prevent.
 *
 * @param dir The node's folder. Absolute.
 * @param path Relative to it, or absolute below it.
 * @throws {XtaskError} `invalid` where it leads out, by `..`, by a symlink or by being somewhere else
 */
export async function inside(dir: string, path: string): Promise<string> {
  if (path.includes("\0")) throw refusal(path);
  const root = await Deno.realPath(dir);
  const wanted = resolve(dir, path);
  // Looked at before the disk is, so that no answer tells what exists elsewhere.
  if (!isBelow(resolve(dir), wanted) && !isBelow(root, wanted)) throw refusal(path);
  let existing = wanted;
  const missing: string[] = [];
  for (;;) {
    const real = await realPathOf(existing, path);
    if (real !== undefined) {
      if (!isBelow(root, real)) throw refusal(path);
      return join(real, ...missing);
    }
    const parent = dirname(existing);
    if (parent === existing) throw refusal(path);
    missing.unshift(existing.slice(parent.length).replace(/^[\\/]+/, ""));
    existing = parent;
  }
}

/** The real path, or undefined if there is nothing. A symlink to nothing is refused: writing to it would create its target. */
async function realPathOf(file: string, asked: string): Promise<string | undefined> {
  try {
    return await Deno.realPath(file);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw refusal(asked, error);
  }
  try {
    await Deno.lstat(file);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw refusal(asked, error);
  }
  throw refusal(asked);
}

function isBelow(root: string, path: string): boolean {
  const way = relative(root, path);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

function refusal(path: string, cause?: unknown): XtaskError {
  return new XtaskError("invalid", `The path '${path}' does not lie below the node's folder`, {
    details: ["expected a path relative to the node's folder, without a way out by '..' or symlinks"],
    ...(cause === undefined ? {} : { cause }),
  });
}
