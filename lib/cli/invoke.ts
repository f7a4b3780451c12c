/** The command line of a capability's verb, derived from its definition: parse flags into input, run it here or there. */
import { buildCommand, type Command } from "@stricli/core";
import type { Capability, Verb } from "../capability/define.ts";
import { type Field, fieldsOf } from "../capability/fields.ts";
import { XtaskError } from "../protocol/error.ts";
import type { Placement } from "./placement.ts";
import type { Shell } from "./shell.ts";

type Flags = Placement & Readonly<Record<string, unknown>>;

const text = (input: string) => input;

const PLACEMENT_FLAGS = {
  on: {
    kind: "parsed",
    parse: text,
    optional: true,
    brief: "Run on every node that this selects: all, an id, os=linux,has=docker",
    placeholder: "SELECTOR",
  },
  any: {
    kind: "parsed",
    parse: text,
    optional: true,
    brief: "Run on the best node that this selects",
    placeholder: "SELECTOR",
  },
  json: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "Print one JSON object a line, and nothing else",
  },
  detach: { kind: "boolean", default: false, withNegated: false, brief: "Print the command's id and leave it running" },
  deadline: {
    kind: "parsed",
    parse: text,
    optional: true,
    brief: "End it after this long: 90s, 10m, 2h",
    placeholder: "DURATION",
  },
  id: {
    kind: "parsed",
    parse: text,
    optional: true,
    brief: "Command id; the same id runs once, however often it is asked",
    placeholder: "ULID",
  },
  context: {
    kind: "parsed",
    parse: text,
    optional: true,
    brief: "The fleet that is meant; see xtask context",
    placeholder: "NAME",
  },
} as const;

/** Names of the flags that every command of a capability has, which no input may use. */
export const PLACEMENT_NAMES = Object.keys(PLACEMENT_FLAGS);

/** The command of one verb. */
export function verbCommand(capability: Capability, verbName: string, verb: Verb): Command<Shell> {
  const fields = fieldsOf(verb.input);
  const positional = [verb.cli?.positional ?? []].flat().map((name) => field(fields, name));
  const flagged = fields.filter(({ name }) => !positional.some((other) => other.name === name));
  const parameters = {
    flags: { ...Object.fromEntries(flagged.map((one) => [one.name, flagOf(one)])), ...PLACEMENT_FLAGS },
    positional: positionalOf(positional, verb),
  };
  // The library infers types from literal parameters; these are made from data, and `inputOf` and the verb's schema check them.
  return buildCommand(
    {
      docs: { brief: verb.summary },
      parameters,
      loader: async () => {
        const { execute }: typeof import("./execute.ts") = await import("./execute.ts" as string);
        return async function (this: Shell, flags: Flags, ...args: unknown[]) {
          await execute(this, {
            capability,
            verb: verbName,
            input: inputOf(this.rest, fields, positional, verb, flags, args),
            placement: flags,
          });
        };
      },
    } as unknown as Parameters<typeof buildCommand<Record<string, unknown>, unknown[], Shell>>[0],
  ) as Command<Shell>;
}

function field(fields: readonly Field[], name: string): Field {
  const found = fields.find((one) => one.name === name);
  if (found === undefined) {
    throw new TypeError(`Cannot place '${name}' on the command line as the input has no such field`);
  }
  return found;
}

function flagOf({ name, kind, required, description, choices }: Field) {
  const brief = choices === undefined ? description : `${description} (${choices.join(", ")})`;
  if (kind === "boolean") return { kind: "boolean", optional: true, withNegated: false, brief };
  const variadic = kind === "list" || kind === "map" ? { variadic: true } : {};
  const placeholder = kind === "map" ? "NAME=VALUE" : kind === "number" ? "NUMBER" : name.toUpperCase();
  return { kind: "parsed", parse: text, optional: !required, brief, placeholder, ...variadic };
}

function positionalOf(fields: readonly Field[], { cli }: Verb) {
  const last = fields.at(-1);
  const parameter = ({ name, description, required }: Field) => ({
    brief: description,
    placeholder: name,
    parse: text,
    // What comes behind `--` may stand in for it; the schema says so if it does not.
    optional: !required || cli?.rest !== undefined,
  });
  // A list takes all that is left, so the whole line is a list; `inputOf` gives the first words to the fields before it.
  if (last?.kind === "list") {
    const names = fields.map(({ name }) => name).join(" ");
    return {
      kind: "array",
      parameter: { ...parameter(last), placeholder: names },
      minimum: cli?.rest === undefined ? required(fields) : 0,
    };
  }
  return { kind: "tuple", parameters: fields.map(parameter) };
}

function required(fields: readonly Field[]): number {
  return fields.filter((one) => one.required).length;
}

/** The verb's input as it was typed; its schema has the last word on it. */
export function inputOf(
  rest: readonly string[],
  fields: readonly Field[],
  positional: readonly Field[],
  { cli }: Verb,
  flags: Readonly<Record<string, unknown>>,
  args: readonly unknown[],
): Record<string, unknown> {
  const input: Record<string, unknown> = {};
  const last = positional.at(-1);
  if (rest.length > 0 && cli?.rest === undefined) {
    throw new XtaskError("invalid", "Nothing is expected behind '--' here", {
      details: [`leave out: -- ${rest.join(" ")}`],
    });
  }
  const behind = cli?.rest === "keep-dashes" && rest.length > 0 ? ["--", ...rest] : rest;
  positional.forEach((one, index) => {
    if (one === last && one.kind === "list") input[one.name] = [...args.slice(index), ...behind];
    else if (args[index] !== undefined) input[one.name] = convert(one, args[index]);
  });
  for (const one of fields) {
    const value = flags[one.name];
    if (value !== undefined && !positional.includes(one)) input[one.name] = convert(one, value);
  }
  return input;
}

function convert({ name, kind }: Field, value: unknown): unknown {
  if (kind === "number") {
    const number = Number(value);
    if (Number.isNaN(number) || String(value).trim() === "") {
      throw new XtaskError("invalid", `'${value}' is no number`, { details: [`${name} takes a number`] });
    }
    return number;
  }
  if (kind !== "map") return value;
  return Object.fromEntries((value as string[]).map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) {
      throw new XtaskError("invalid", `'${pair}' is not NAME=VALUE`, { details: [`--${name} takes NAME=VALUE`] });
    }
    return [pair.slice(0, at), pair.slice(at + 1)];
  }));
}
