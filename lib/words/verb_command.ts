/** The words of a capability's verb, derived from its definition: flags and positions become the verb's input. */
import { buildCommand, buildRouteMap, type Command, type CommandContext, type RouteMap } from "@stricli/core";
import type { Capability, Verb } from "../capability/define.ts";
import { type Field, fieldsOf } from "../capability/fields.ts";
import { XtaskError } from "../protocol/error.ts";
import type { Placement, Typed } from "./placement.ts";

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
  queue: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "Where a node is away, leave the command at the hub for it",
  },
  keep: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "Let it outlive the node's agent, which takes it over again when it is back",
  },
  move: {
    kind: "boolean",
    default: false,
    withNegated: false,
    brief: "With --any: where its node is lost, start it on another one",
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

/** What a command needs of its surroundings to be read. */
export interface WordsContext extends CommandContext {
  /** What stood behind `--`. */
  readonly rest: readonly string[];
}

/** Does what was typed. */
export type Perform<C extends WordsContext> = (context: C, typed: Typed) => Promise<void>;

/** The commands of a capability, each doing what `load` resolves to. */
export function capabilityCommands<C extends WordsContext>(
  capability: Capability,
  load: () => Promise<Perform<C>>,
): RouteMap<C> {
  const verbs = Object.entries(capability.verbs);
  return buildRouteMap({
    docs: { brief: capability.summary },
    routes: Object.fromEntries(verbs.map(([name, verb]) => [name, verbCommand(capability, name, verb, load)])),
  });
}

/** The words with the verb that may be left out: `xtask which go` is `xtask which check go`. */
export function withDefaultVerb(capability: Capability, words: readonly string[]): string[] {
  const names = Object.keys(capability.verbs);
  const implied = capability.defaultVerb ?? (names.length === 1 ? names[0] : undefined);
  const [first, second, ...more] = words;
  if (implied === undefined || first === undefined || (second !== undefined && names.includes(second))) {
    return [...words];
  }
  const help = second === undefined || ["--help", "-h", "--help-all", "-H"].includes(second);
  if (help && names.length > 1) return [...words];
  return [first, implied, ...(second === undefined ? [] : [second]), ...more];
}

/** The command of one verb. */
function verbCommand<C extends WordsContext>(
  capability: Capability,
  verbName: string,
  verb: Verb,
  load: () => Promise<Perform<C>>,
): Command<C> {
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
        const perform = await load();
        return async function (this: C, flags: Flags, ...args: unknown[]) {
          await perform(this, {
            capability,
            verb: verbName,
            input: inputOf(this.rest, fields, positional, verb, flags, args),
            placement: flags,
          });
        };
      },
    } as unknown as Parameters<typeof buildCommand<Record<string, unknown>, unknown[], C>>[0],
  ) as Command<C>;
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
