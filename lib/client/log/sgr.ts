/**
 * How text of a terminal looks: what the `ESC [ … m` sequences of a run's output (SGR, ECMA-48) ask for, as a value that
 * can be carried from line to line.
 */

/** Looks that are on or off. */
export type Look = "bold" | "dim" | "italic" | "underline" | "inverse" | "hidden" | "struck";

/** How text looks. Colours are numbers of the palette of 256; undefined is the reader's own. */
export interface Style {
  readonly looks: ReadonlySet<Look>;
  readonly ink: number | undefined;
  readonly paper: number | undefined;
}

/** Text as it looks when nothing was asked for. */
export const PLAIN: Style = { looks: new Set(), ink: undefined, paper: undefined };

const ON: Readonly<Record<number, Look>> = {
  1: "bold",
  2: "dim",
  3: "italic",
  4: "underline",
  7: "inverse",
  8: "hidden",
  9: "struck",
  21: "underline",
};
const OFF: Readonly<Record<number, readonly Look[]>> = {
  22: ["bold", "dim"],
  23: ["italic"],
  24: ["underline"],
  27: ["inverse"],
  28: ["hidden"],
  29: ["struck"],
};
/** A sequence with more numbers than this is nobody's. */
const CODES_MAX = 64;

/**
 * The style after a sequence. What it says that is not known changes nothing.
 *
 * @param parameters What stands between `ESC [` and `m`, such as `1;38;5;208`.
 */
export function restyle(style: Style, parameters: string): Style {
  // Colons part the numbers of one colour in the standard, semicolons in what most programs write.
  const codes = parameters.split(/[;:]/, CODES_MAX).map((code) => code === "" ? 0 : Number(code));
  let { ink, paper } = style;
  let looks: Set<Look> | undefined;
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] as number;
    if (code === 0) [ink, paper, looks] = [undefined, undefined, new Set()];
    else if (ON[code] !== undefined) (looks ??= new Set(style.looks)).add(ON[code]);
    else if (OFF[code] !== undefined) {
      looks ??= new Set(style.looks);
      for (const look of OFF[code]) looks.delete(look);
    } else if (code >= 30 && code <= 37) ink = code - 30;
    else if (code >= 90 && code <= 97) ink = code - 90 + 8;
    else if (code === 39) ink = undefined;
    else if (code >= 40 && code <= 47) paper = code - 40;
    else if (code >= 100 && code <= 107) paper = code - 100 + 8;
    else if (code === 49) paper = undefined;
    else if (code === 38 || code === 48) {
      const [color, used] = longColor(codes, at + 1, parameters.includes(":"));
      if (color !== undefined) code === 38 ? ink = color : paper = color;
      at += used;
    }
  }
  return { looks: looks ?? style.looks, ink, paper };
}

/** The colour after a 38 or 48, and how many numbers it took. */
function longColor(codes: readonly number[], at: number, colons: boolean): [number | undefined, number] {
  const byte = (index: number) => {
    const value = codes[index];
    return value !== undefined && Number.isInteger(value) && value >= 0 && value <= 255 ? value : undefined;
  };
  if (codes[at] === 5) return [byte(at + 1), 2];
  if (codes[at] !== 2) return [undefined, 0];
  // `38:2::R:G:B` has an empty place for a colour space.
  const first = colons && codes.length - at >= 5 ? at + 2 : at + 1;
  const [red, green, blue] = [byte(first), byte(first + 1), byte(first + 2)];
  const used = first - at + 3;
  if (red === undefined || green === undefined || blue === undefined) return [undefined, used];
  return [nearestColor(red, green, blue), used];
}

/** The six levels of each part of a colour in the palette's cube. */
const LEVELS = [0, 95, 135, 175, 215, 255] as const;

/** Red, green and blue of a colour of the palette of 256 beyond the first 16, which are the reader's choice. */
export function paletteColor(number: number): readonly [number, number, number] {
  if (number >= 232) {
    const grey = 8 + (number - 232) * 10;
    return [grey, grey, grey];
  }
  const cube = number - 16;
  const level = (index: number) => LEVELS[index % 6] as number;
  return [level(Math.floor(cube / 36)), level(Math.floor(cube / 6)), level(cube)];
}

/** The colour of the palette that looks most like this one. */
export function nearestColor(red: number, green: number, blue: number): number {
  const level = (value: number) => value < 48 ? 0 : value < 115 ? 1 : Math.min(5, Math.floor((value - 35) / 40));
  const cube = 16 + 36 * level(red) + 6 * level(green) + level(blue);
  const grey = 232 + Math.max(0, Math.min(23, Math.round(((red + green + blue) / 3 - 8) / 10)));
  const distance = (number: number) => {
    const [r, g, b] = paletteColor(number);
    return (r - red) ** 2 + (g - green) ** 2 + (b - blue) ** 2;
  };
  return distance(grey) < distance(cube) ? grey : cube;
}

const CODE_OF: Readonly<Record<Look, number>> = {
  bold: 1,
  dim: 2,
  italic: 3,
  underline: 4,
  inverse: 7,
  hidden: 8,
  struck: 9,
};

/** The style as the parameters that make it out of plain text: empty for plain text. At most 40 characters. */
export function styleCode({ looks, ink, paper }: Style): string {
  const codes = [...looks].map((look) => CODE_OF[look]).sort((a, b) => a - b).map(String);
  if (ink !== undefined) codes.push(`38;5;${ink}`);
  if (paper !== undefined) codes.push(`48;5;${paper}`);
  return codes.join(";");
}

/** The style that {@linkcode styleCode} wrote down. */
export function styleOf(code: string): Style {
  return code === "" ? PLAIN : restyle(PLAIN, code);
}

// deno-lint-ignore no-control-regex -- it is control characters that are looked for
const SGR = /\x1b\[([\d;:]*)m/g;

/** The style after all sequences of a text. */
export function styleAfter(style: Style, text: string): Style {
  let after = style;
  for (const [, parameters] of text.matchAll(SGR)) after = restyle(after, parameters ?? "");
  return after;
}
