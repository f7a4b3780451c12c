/** Where a file may go: under the node's folder and nowhere else, whatever the name says and wherever links lead. */
import { basename, dirname } from "node:path";
import { XtaskError } from "../../protocol/error.ts";
import { inside } from "../inside.ts";

/** A place that has been checked. */
export interface Place {
  /** As it was asked for: relative to the node's folder, with `/`. */
  readonly path: string;
  /** The last segment. */
  readonly name: string;
  /** The folder it lies in: absolute, symlinks resolved. */
  readonly folder: string;
  /** Folders that had to be made for it, outermost first. */
  readonly made: readonly string[];
}

/** So that `.NAME.COMMAND.part` still fits into the 255 bytes that file systems allow. */
const SEGMENT_BYTES_MAX = 200;
const PATH_BYTES_MAX = 1024;
const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)/i;
// deno-lint-ignore no-control-regex -- control characters are what it refuses
const CONTROL = /[\u0000-\u001f\u007f]/;
const ARCHIVE_SUFFIX = /\.(tar\.gz|tgz|zip)$/i;

/**
 * Why a name cannot be one segment of a path, or undefined if it can.
 *
 * @param windows Whether to refuse also what only Windows reads differently: device names, a trailing dot, `:` and `*`
 */
export function segmentProblem(segment: string, windows: boolean): string | undefined {
  if (segment === "") return "has an empty segment";
  if (segment === "." || segment === "..") return `has the segment '${segment}'`;
  if (CONTROL.test(segment)) return "has a control character";
  if (segment.includes("\\")) return "has a backslash";
  if (segment.includes("/")) return "has a slash inside a segment";
  if (!segment.isWellFormed()) return "is not well-formed Unicode";
  if (byteLength(segment) > SEGMENT_BYTES_MAX) return `has a segment of more than ${SEGMENT_BYTES_MAX} bytes`;
  if (!windows) return undefined;
  // Windows drops spaces before it looks for a device: "NUL .txt" is NUL.
  if (DEVICE.test(segment.replaceAll(/ +(?=\.|$)/g, ""))) return "has the name of a Windows device";
  if (/[<>:"|?*]/.test(segment)) return 'has one of < > : " | ? *';
  if (/[. ]$/.test(segment)) return "has a segment that ends with a dot or a space";
  return undefined;
}

/** Why a relative path cannot be taken, or undefined if it can. Of the arguments see {@linkcode segmentProblem}. */
export function pathProblem(path: string, windows: boolean): string | undefined {
  if (path === "") return "is empty";
  if (path.startsWith("/")) return "is absolute";
  if (/^[a-z]:/i.test(path)) return "begins with a drive letter";
  if (byteLength(path) > PATH_BYTES_MAX) return `is longer than ${PATH_BYTES_MAX} bytes`;
  for (const segment of path.split("/")) {
    const problem = segmentProblem(segment, windows);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/**
 * The segments of an output path. A Taskfile is the same on every platform, so the rules of all of them hold on each.
 *
 * @throws {XtaskError} `invalid`
 */
export function outputSegments(output: string): [string, ...string[]] {
  const problem = pathProblem(output, true);
  if (problem !== undefined) {
    throw new XtaskError("invalid", `The output cannot be used as it ${problem}`, {
      details: ["output: expected a path relative to the node's folder, such as 'bin/tool'"],
    });
  }
  const [first = "", ...rest] = output.split("/");
  return [first, ...rest];
}

/**
 * The output where none is given: the last segment of the URL's path, without the suffix of an archive if it is to be extracted.
 *
 * @throws {XtaskError} `invalid` if that is no name that a file may have
 */
export function defaultOutput(url: URL, { extract }: { readonly extract: boolean }): string {
  const last = url.pathname.split("/").at(-1) ?? "";
  const name = decoded(last);
  const output = extract ? name?.replace(ARCHIVE_SUFFIX, "") : name;
  if (output === undefined || segmentProblem(output, true) !== undefined) {
    throw new XtaskError("invalid", "The URL does not end with a usable file name; say where the file goes", {
      details: ["output: expected a path relative to the node's folder, such as 'bin/tool'"],
    });
  }
  return output;
}

/**
 * Finds the folder that an output goes to and makes what is missing of it. A symlink on the way is followed if it stays
 * under the node's folder. Deno opens by path alone (no `openat`), so somebody who can write to that folder
 * could swap a folder for a link afterwards; {@linkcode confirmPlace} before each step that counts narrows that window to a moment.
 *
 * @throws {XtaskError} `invalid` if the way leads out, `conflict` if something on it is no folder
 */
export async function takePlace(dir: string, output: string): Promise<Place> {
  const segments = outputSegments(output);
  const name = segments.at(-1) ?? segments[0];
  const folder = await inside(dir, segments.slice(0, -1).join("/") || ".");
  const made: string[] = [];
  try {
    for (const missing of await missingFolders(folder)) {
      if (await makeFolder(missing)) made.push(missing);
    }
    if (!(await Deno.stat(folder)).isDirectory) {
      throw new XtaskError("conflict", `The output needs a folder '${basename(folder)}', but a file has that name`);
    }
    const place = { path: output, name, folder, made };
    await confirmPlace(place, folder);
    return place;
  } catch (error) {
    await removeMade(made);
    throw error;
  }
}

/**
 * Makes sure that the place's folder, or a path right in it, still means what it meant when the place was taken.
 *
 * @throws {XtaskError} `conflict` if a folder on the way was swapped for a link
 */
export async function confirmPlace({ folder }: Place, path: string): Promise<void> {
  if (await Deno.realPath(path) !== path || (path !== folder && dirname(path) !== folder)) {
    throw new XtaskError("conflict", "The output folder was replaced while it was in use; try again");
  }
}

/** Removes the folders that were made for a place, as far as nothing else lies in them. */
export async function removeMade(made: readonly string[]): Promise<void> {
  for (const folder of made.toReversed()) {
    try {
      await Deno.remove(folder);
    } catch {
      // Not empty or gone: somebody else uses it, so it is no longer ours to remove, and neither are those around it.
      return;
    }
  }
}

/** Whether anything has this path, be it a symlink to nothing. */
export async function isThere(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** Those of a folder's ancestors and itself that are not there yet, outermost first. */
async function missingFolders(folder: string): Promise<string[]> {
  const missing: string[] = [];
  for (let at = folder; !(await isThere(at)); at = dirname(at)) missing.unshift(at);
  return missing;
}

async function makeFolder(path: string): Promise<boolean> {
  try {
    await Deno.mkdir(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

function byteLength(text: string): number {
  return new TextEncoder().encode(text).length;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // A stray % in a URL: it has no name that we could be sure of.
    return undefined;
  }
}
