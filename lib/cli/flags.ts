/** The flags and arguments that several commands have, each said once. */
import type { Shell } from "./shell.ts";

/** Text as it was typed. */
export const text = (input: string) => input;
/** A whole number. */
export const number = (input: string) => {
  const value = Number(input);
  if (!Number.isInteger(value) || input.trim() === "") throw new SyntaxError(`'${input}' is no whole number`);
  return value;
};
/** A port; 0 takes any free one. */
export const port = (input: string) => {
  const value = number(input);
  if (value < 0 || value > 65_535) {
    throw new SyntaxError(`${input} is no port; expected 0 to 65535, where 0 takes any free one`);
  }
  return value;
};

/** `--json` */
export const json = {
  kind: "boolean",
  default: false,
  withNegated: false,
  brief: "Print one JSON object a line, and nothing else",
} as const;
/** Names of contexts, for whoever completes one. */
async function contextNames(this: Shell): Promise<string[]> {
  return (await this.contexts.list()).map(({ name }) => name);
}
const context = {
  kind: "parsed",
  parse: text,
  proposeCompletions: contextNames,
  optional: true,
  brief: "The fleet that is meant; see xtask context",
  placeholder: "NAME",
} as const;
/** What every command about a fleet has. */
export const fleet = { json, context } as const;
/** A flag with a text, which may be left out. */
export const optionalText = (brief: string, placeholder: string) =>
  ({ kind: "parsed", parse: text, optional: true, brief, placeholder }) as const;
/** A flag that may be given several times. */
export const list = (brief: string, placeholder: string) =>
  ({ kind: "parsed", parse: text, optional: true, variadic: true, brief, placeholder }) as const;
/** A flag that is there or not. */
export const flag = (brief: string) => ({ kind: "boolean", default: false, withNegated: false, brief }) as const;
/** One argument. */
export const one = (brief: string, placeholder: string) =>
  ({ kind: "tuple", parameters: [{ brief, placeholder, parse: text }] }) as const;
/** Nodes that may be named. */
export const MAYBE_SELECTOR = {
  kind: "tuple",
  parameters: [{ brief: "Only those that this selects", placeholder: "SELECTOR", parse: text, optional: true }],
} as const;
/** Nodes that have to be named. */
export const onNodes = (brief: string) => ({ kind: "parsed", parse: text, brief, placeholder: "SELECTOR" }) as const;
/** The name of a context. */
export const CONTEXT_NAME = {
  kind: "tuple",
  parameters: [{ brief: "Its name", placeholder: "NAME", parse: text, proposeCompletions: contextNames }],
} as const;
/** A shell with completions. */
export const SHELL_NAME = {
  kind: "tuple",
  parameters: [{
    brief: "bash, zsh, fish or powershell",
    placeholder: "SHELL",
    parse: text,
    proposeCompletions: () => ["bash", "zsh", "fish", "powershell"],
  }],
} as const;
/** What is told to others. */
export const NOTE_WORDS = {
  kind: "array",
  parameter: { brief: "The words", placeholder: "WORDS", parse: text },
  minimum: 1,
} as const;
/** Which alert is meant. */
export const ALERT_KEY = one("The alert's key; see xtask alerts ls", "KEY");
/** Which command is meant. */
export const COMMAND_ID = one("The command's id; see xtask commands", "ID");

/** What can be said about a machine as a node. */
export const nodeFlags = {
  name: optionalText("Id of this node; from the host name by default", "ID"),
  dir: optionalText("The folder that the node offers, with its Taskfile; this one by default", "DIR"),
  label: list("A label for selectors", "KEY=VALUE"),
  slots: {
    kind: "parsed",
    parse: number,
    optional: true,
    brief: "Runs at once; one for each core by default",
    placeholder: "N",
  },
  allow: list("The only capabilities to offer", "CAP,…"),
  json,
} as const;

/** Where the page and the API are served. */
export const httpFlags = {
  httpPort: {
    kind: "parsed",
    parse: port,
    default: "8222",
    brief: "Port for the page and the API",
    placeholder: "PORT",
  },
  httpHost: optionalText("Address to serve them on; with TLS that of --host, else this machine alone", "HOST"),
  httpName: list("A name that people call this server by, as in its certificate", "NAME"),
  tlsCert: optionalText("Serve over TLS with this certificate (PEM); a hub also NATS and its leaf nodes", "FILE"),
  tlsKey: optionalText("The certificate's key (PEM)", "FILE"),
  tlsCa: optionalText("Its authority (PEM), where systems do not know it; who joins the hub is told of it", "FILE"),
} as const;

/** What of a stream is wanted. */
export const streamFlags = {
  ...fleet,
  since: optionalText("Begin so long ago: 10m, 2h, 1d", "DURATION"),
  noFollow: flag("End with what is there now"),
  node: optionalText("Only this node", "ID"),
} as const;
