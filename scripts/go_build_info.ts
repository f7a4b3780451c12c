/** What an executable made by Go tells of itself: the modules that it was built from. The form is that of Go's `debug/buildinfo`. */
import { Buffer } from "node:buffer";
import { XtaskError } from "../lib/protocol/error.ts";

/** A Go module in an executable. */
export interface GoModule {
  readonly name: string;
  readonly version: string;
  /** Hash of its source, as `go.sum` has it; the module of the program itself has none. */
  readonly sum?: string;
}

/** What {@linkcode goBuildInfo} reads. */
export interface GoBuildInfo {
  /** Version of Go, without `go`. */
  readonly go: string;
  /** The program's own module first. */
  readonly modules: readonly GoModule[];
}

const HEADER = Buffer.from("\xff Go buildinf:", "latin1");
const VERSION_AT = 32;
/** Around the list of modules. */
const BEGIN = Buffer.from("3077af0c9274080241e1c107e6d618e6", "hex");
const END = Buffer.from("f932433186182072008242104116d8f2", "hex");

/**
 * Reads an executable.
 *
 * @throws {XtaskError} `invalid` where Go did not make it, or it was told to leave that out
 */
export function goBuildInfo(executable: Uint8Array): GoBuildInfo {
  const bytes = Buffer.from(executable.buffer, executable.byteOffset, executable.byteLength);
  const header = bytes.indexOf(HEADER);
  const begin = bytes.indexOf(BEGIN, header);
  const end = bytes.indexOf(END, begin);
  if (header < 0 || begin < 0 || end < 0) {
    throw new XtaskError("invalid", "This executable does not tell what it was made of");
  }
  const length = bytes[header + VERSION_AT] ?? 0;
  const go = bytes.toString("latin1", header + VERSION_AT + 1, header + VERSION_AT + 1 + length).replace(/^go/, "");
  const modules: GoModule[] = [];
  for (const line of bytes.toString("utf8", begin + BEGIN.length, end).split("\n")) {
    const [kind, name, version, sum] = line.split("\t");
    if (kind === "=>") modules.pop();
    if (!["mod", "dep", "=>"].includes(kind ?? "") || name === undefined || version === undefined) continue;
    modules.push({ name, version, ...(sum ? { sum } : {}) });
  }
  return { go: go.split(" ")[0] ?? go, modules };
}
