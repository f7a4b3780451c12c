/** How things look in a terminal: colours, tables, and output of machines that must not drive it. */

const CODES = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33, blue: 34, magenta: 35, cyan: 36 } as const;

/** A colour or weight. */
export type Style = keyof typeof CODES;

/** Text in a style, where colours are wanted. */
export function styled(text: string, style: Style, color: boolean): string {
  return color ? `\x1b[${CODES[style]}m${text}\x1b[0m` : text;
}

const NODE_STYLES = ["cyan", "magenta", "green", "yellow", "blue"] as const;

/** The style of the nth node, so that each keeps its own. */
export function nodeStyle(index: number): Style {
  return NODE_STYLES[index % NODE_STYLES.length] as Style;
}

/** The style of a state. */
export function stateStyle(state: string): Style {
  switch (state) {
    case "succeeded":
    case "online":
      return "green";
    case "failed":
    case "refused":
    case "offline":
    case "interrupted":
      return "red";
    default:
      return "yellow";
  }
}

/**
 * A table with aligned columns.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { table } from "./terminal.ts";
 *
 * assert.equal(table(["NODE", "STATE"], [["n1", "online"], ["edge-2", "busy"]]), "NODE    STATE\nn1      online\nedge-2  busy");
 * ```
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const plain = [head, ...rows].map((row) => row.map(printable));
  const widths = head.map((_, column) => Math.max(...plain.map((row) => visibleLength(row[column] ?? ""))));
  return plain.map((row) =>
    row.map((cell, column) =>
      column === row.length - 1 ? cell : cell + " ".repeat((widths[column] ?? 0) - visibleLength(cell))
    )
      .join("  ")
  ).join("\n");
}

// deno-lint-ignore no-control-regex -- the colours that `styled` writes begin with one
const SGR = /\x1b\[[0-9;]*m/g;

function visibleLength(text: string): number {
  return [...text.replaceAll(SGR, "")].length;
}

// deno-lint-ignore no-control-regex -- control sequences are what this is about
const SEQUENCES = /\x1b\[[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]?/g;
// deno-lint-ignore no-control-regex -- likewise; tab and newline stay
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f\u0080-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

const CSI = "\x1b[";
/** Stands for the escape of a colour while everything else of its kind goes; what is in the text itself goes first. */
const KEPT = "\ue000";

/**
 * Text that cannot drive the terminal: colours stay where they are wanted, every other control sequence goes, a carriage
 * return that would overwrite becomes a new line.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { harmless } from "./terminal.ts";
 *
 * assert.equal(harmless("a\x1b]52;c;aGk=\x07b\x1b[31mred\x1b[0m\rover\0", { color: false }), "abred\nover");
 * ```
 */
export function harmless(text: string, { color }: { color: boolean }): string {
  return text
    .replaceAll(KEPT, "")
    // Before the sequences go: a carriage return and a newline with one between them never stood together.
    .replaceAll(/\r\n?/g, "\n")
    .replaceAll(
      SEQUENCES,
      (sequence) =>
        color && sequence.startsWith(CSI) && /^[0-9;]*m$/.test(sequence.slice(CSI.length))
          ? `${KEPT}${sequence.slice(1)}`
          : "",
    )
    .replaceAll(CONTROLS, "")
    .replaceAll(`${KEPT}[`, CSI);
}

/** One line of a table: nothing that drives the terminal, and no line breaks, but our own colours. */
function printable(text: string): string {
  return harmless(text, { color: true }).replaceAll("\n", " ");
}

/** A duration as people say it. */
export function duration(ms: number): string {
  // Each bound lies where the rounded number would reach the next unit.
  if (ms < 999.5) return `${Math.round(ms)} ms`;
  if (ms < 59_950) return `${(ms / 1_000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1_000);
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min ${seconds % 60} s` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
