/** A command as the line that somebody would type for it: what {@linkcode readWords} reads. */
import type { Capability } from "../capability/define.ts";
import { type Field, fieldsOf } from "../capability/fields.ts";

/** What was asked. */
export interface Written {
  readonly capability: Capability;
  readonly verb: string;
  readonly input: Readonly<Record<string, unknown>>;
  /** Where, as a selector. */
  readonly on?: string;
  /** In place of that, as a selector: it runs on one of those, and may move. */
  readonly moveAmong?: string;
}

/**
 * The line without `xtask`. What nobody can type has none: a word that begins with a dash where a flag could stand.
 *
 * @returns undefined for a verb that the capability does not have, and where no line means this
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import task from "../capability/task.ts";
 * import { writeWords } from "./write_words.ts";
 *
 * const asked = { capability: task, verb: "run", input: { args: ["build", "a b"] }, on: "os=linux" };
 * assert.equal(writeWords(asked), "task run build 'a b' --on os=linux");
 * ```
 */
export function writeWords({ capability, verb: name, input, on, moveAmong }: Written): string | undefined {
  const verb = Object.hasOwn(capability.verbs, name) ? capability.verbs[name] : undefined;
  if (verb === undefined) return undefined;
  const fields = fieldsOf(verb.input);
  const positional = [verb.cli?.positional ?? []].flat();
  const wordsOf = (names: readonly string[]) => names.flatMap((field) => input[field] ?? []).map(String);
  const { before, rest } = behindDashes(wordsOf(positional.slice(-1)), verb.cli?.rest);
  const words = [...wordsOf(positional.slice(0, -1)), ...before];
  if (words.some((word) => word.startsWith("-"))) return undefined;
  const flags = fields.filter((field) => !positional.includes(field.name)).flatMap((field) => flagWords(field, input));
  const placed = [
    ...(on === undefined ? [] : ["--on", on]),
    ...(moveAmong === undefined ? [] : ["--any", moveAmong, "--move"]),
  ];
  return [capability.name, name, ...words, ...flags, ...placed, ...rest].map(quoted).join(" ");
}

/** Words of the last position that look like flags stand behind `--`, where that is allowed; with them all that follows. */
function behindDashes(given: readonly string[], rest: "append" | "keep-dashes" | undefined) {
  const first = rest === "keep-dashes" ? given.indexOf("--") : given.findIndex((word) => word.startsWith("-"));
  if (rest === undefined || first < 0) return { before: given, rest: [] };
  const behind = given.slice(first);
  return { before: given.slice(0, first), rest: rest === "keep-dashes" ? behind : ["--", ...behind] };
}

function flagWords({ name, kind }: Field, input: Readonly<Record<string, unknown>>): string[] {
  const value = input[name];
  const flag = `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  if (value === undefined || value === false) return [];
  if (kind === "boolean") return [flag];
  const values = kind === "map"
    ? Object.entries(value as Record<string, unknown>).map(([key, one]) => `${key}=${one}`)
    : [value].flat().map(String);
  return values.flatMap((one) => one.startsWith("-") ? [`${flag}=${one}`] : [flag, one]);
}

function quoted(word: string): string {
  return /^[\w@%+=:,./|-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
