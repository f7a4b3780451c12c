/** Looks a program up as a shell would. Imports nothing, since it is on the way of every `xtask which`. */

/** Where {@linkcode findExecutable} looks. */
export interface FindOptions {
  /** The value of PATH. */
  readonly path: string;
  /** The value of PATHEXT; only Windows has one. @default {".COM;.EXE;.BAT;.CMD"} */
  readonly pathext?: string;
  /** Decides the separators and what makes a file executable. */
  readonly os: "linux" | "darwin" | "windows";
  /** The absolute folder that a name with a separator is relative to. Without it such a name must be absolute. */
  readonly dir?: string;
  /**
   * A quicker look at whether a file is there, as a failing one with Deno's own makes an error each time. For callers that
   * may see every file: it tells none that is hidden from one that is missing.
   */
  readonly exists?: (file: string) => boolean;
}

/**
 * The path of the executable that a name stands for, or undefined. A name with a path separator is taken as that path.
 * Symlinks are not resolved, as programs such as busybox look at the name they were called by.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { findExecutable } from "./find_executable.ts";
 *
 * assert.equal(findExecutable("no-such-program", { path: "/usr/bin:/bin", os: "linux" }), undefined);
 * ```
 */
export function findExecutable(name: string, options: FindOptions): string | undefined {
  const { path, os, dir, pathext = ".COM;.EXE;.BAT;.CMD", exists = () => true } = options;
  const windows = os === "windows";
  const absolute = windows ? /^([A-Za-z]:[\\/]|\\\\)/ : /^\//;
  const join = (folder: string, rest: string) => folder.replace(/[\\/]+$/, "") + (windows ? "\\" : "/") + rest;
  if (name === "" || name.includes("\0")) return undefined;
  let bases: string[];
  if (windows ? /[\\/:]/.test(name) : name.includes("/")) {
    if (absolute.test(name)) bases = [name];
    else if (dir !== undefined) bases = [join(dir, name.replace(/^(\.[\\/]+)+/, ""))];
    else return undefined;
  } else {
    // An empty or relative entry means the folder one happens to be in, whose files are not programs until named as a path.
    const folders = path.split(windows ? ";" : ":").map((folder) =>
      windows ? folder.replace(/^"(.*)"$/, "$1") : folder
    );
    bases = folders.filter((folder) => absolute.test(folder)).map((folder) => join(folder, name));
  }
  const extensions = pathext.split(";").filter((extension) => extension !== "");
  const files = bases.flatMap((base) => {
    if (!windows) return base;
    const hasOne = extensions.some((extension) => base.toLowerCase().endsWith(extension.toLowerCase()));
    return [...(hasOne ? [""] : []), ...extensions].map((ending) => base + ending);
  });
  // Each file that is not there makes an error, whose trace costs many times the look itself.
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return files.find((file) => exists(file) && isExecutable(file, windows));
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function isExecutable(file: string, windows: boolean): boolean {
  let info: Deno.FileInfo;
  try {
    info = Deno.statSync(file);
  } catch (error) {
    // Missing, below something that is no folder, in a folder that is not ours to enter, a name too long: not there for us.
    // What the Worker itself may not see is a mistake of the capability's definition and must show.
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false;
  }
  // Any of the three bits: whose it is would take the right to ask who we are.
  return info.isFile && (windows || ((info.mode ?? 0) & 0o111) !== 0);
}
