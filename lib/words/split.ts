/** Words as a shell would split them, without any of what else a shell does. */
import { XtaskError } from "../protocol/error.ts";

/**
 * Splits a line at spaces. Quotes of either kind keep them, a backslash keeps the next character (inside single quotes it
 * is one itself). Nothing is expanded: `$HOME`, `*` and `|` are text.
 *
 * @throws {XtaskError} `invalid` for a quote that is not closed
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { splitWords } from "./split.ts";
 *
 * assert.deepEqual(splitWords(`silent -- echo "a b" c\\ d ''`), ["silent", "--", "echo", "a b", "c d", ""]);
 * ```
 */
export function splitWords(line: string): string[] {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < line.length; at++) {
    const char = line[at] as string;
    if (quote !== "'" && char === "\\" && at + 1 < line.length) word = (word ?? "") + line[++at];
    else if (char === quote) quote = "";
    else if (quote !== "") word += char;
    else if (char === '"' || char === "'") [quote, word] = [char, word ?? ""];
    else if (!/\s/.test(char)) word = (word ?? "") + char;
    else if (word !== undefined) {
      words.push(word);
      word = undefined;
    }
  }
  if (quote !== "") {
    throw new XtaskError("invalid", `A ${quote} is not closed`, {
      details: [`close it, or write \\${quote} for the sign`],
    });
  }
  return word === undefined ? words : [...words, word];
}
