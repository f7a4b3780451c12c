/** The colours of a terminal as classes: `ink-N` and `paper-N`, of which the first 16 are ours, fit for light and dark. */

const OWN = [
  ["#3b3d42", "#8b8f98"],
  ["#b3261e", "#ff8f85"],
  ["#1a7043", "#63c993"],
  ["#8a5a00", "#e8b64c"],
  ["#2b57c4", "#8fb1ff"],
  ["#8a2b9b", "#dd9bea"],
  ["#0b6b75", "#5cc8d3"],
  ["#5c5f66", "#c9ccd2"],
] as const;
const LEVELS = [0, 95, 135, 175, 215, 255];

/** The style sheet. */
export function paletteCss(): string {
  const rules: string[] = [];
  for (let number = 0; number < 256; number++) {
    const [light, dark] = number < 16 ? OWN[number % 8] as readonly [string, string] : [shade(number), shade(number)];
    rules.push(
      `.ink-${number}{color:light-dark(${light},${dark})}.paper-${number}{background:light-dark(${light},${dark})}`,
    );
  }
  return `\n${rules.join("\n")}\n`;
}

/** A colour of the cube of 216, or of the 24 greys behind it. */
function shade(number: number): string {
  const hex = (value: number) => value.toString(16).padStart(2, "0");
  if (number >= 232) return `#${hex(8 + (number - 232) * 10).repeat(3)}`;
  const cube = number - 16;
  return `#${
    [Math.floor(cube / 36), Math.floor(cube / 6) % 6, cube % 6].map((level) => hex(LEVELS[level] ?? 0)).join("")
  }`;
}
