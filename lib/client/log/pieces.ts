/** A line of a run's output as it is shown: its text in pieces of one look each, without anything that drives a terminal. */
import { tokens } from "./escapes.ts";
import { PLAIN, restyle, type Style } from "./sgr.ts";

/** Text of one look. */
export interface Piece {
  readonly text: string;
  readonly style: Style;
}

/** A longer line is cut; what of it is missing is told. */
const SHOWN_CHARS_MAX = 16 * 1024;

/** A line as it is shown, and the style that the next one begins with. */
export interface ShownLine {
  readonly pieces: readonly Piece[];
  readonly after: Style;
  /** Characters that are not shown. */
  readonly cut: number;
}

/**
 * Takes a line apart. A carriage return goes back to its beginning, as a terminal does: what is written next covers what
 * was there, so that of a progress bar its last state is left. Other movements of the cursor are left out.
 */
export function shownLine(line: string, before: Style = PLAIN): ShownLine {
  const cut = Math.max(0, line.length - SHOWN_CHARS_MAX);
  let style = before;
  let cells: Piece[] = [];
  let at = 0;
  for (const token of tokens(cut === 0 ? line : line.slice(0, SHOWN_CHARS_MAX))) {
    if (token.kind === "csi" && token.final === "m") style = restyle(style, token.parameters);
    else if (token.kind === "control" && token.code === 13) at = 0;
    else if (token.kind === "control" && token.code === 8) at = Math.max(0, at - 1);
    else if (token.kind === "text") {
      cells = overwritten(cells, at, { text: token.text, style });
      at += token.text.length;
    }
  }
  return { pieces: cells.filter(({ text }) => text !== ""), after: style, cut };
}

/** The cells with a piece written over them from a place on. */
function overwritten(cells: readonly Piece[], at: number, piece: Piece): Piece[] {
  const before = sliced(cells, 0, at);
  const behind = sliced(cells, at + piece.text.length, Infinity);
  const last = before.at(-1);
  const joined = last !== undefined && last.style === piece.style
    ? [...before.slice(0, -1), { text: last.text + piece.text, style: piece.style }]
    : [...before, piece];
  return [...joined, ...behind];
}

function sliced(cells: readonly Piece[], from: number, to: number): Piece[] {
  const found: Piece[] = [];
  let start = 0;
  for (const { text, style } of cells) {
    const part = text.slice(Math.max(0, from - start), Math.max(0, to - start));
    if (part !== "") found.push({ text: part, style });
    start += text.length;
  }
  return found;
}
