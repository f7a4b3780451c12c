/** A line that somebody typed away from a terminal, as the command it means: the same words, read by the same parser. */
import { buildApplication, buildRouteMap, proposeCompletions, run, text_en } from "@stricli/core";
import { CAPABILITY_NAMES, isCapabilityName, loadCapability } from "../capability/registry.ts";
import { XtaskError } from "../protocol/error.ts";
import type { Typed } from "./placement.ts";
import { splitWords } from "./split.ts";
import { capabilityCommands, withDefaultVerb, type WordsContext } from "./verb_command.ts";

/** What may stand in place of the last word. */
export interface Suggestion {
  readonly completion: string;
  readonly brief: string;
}

/**
 * Reads a line such as `task build --on os=linux`, or its words; `xtask` itself may stand in front.
 *
 * @throws {XtaskError} `invalid` for what means no command of a capability, with what the parser says of it
 */
export async function readWords(line: string | readonly string[]): Promise<Typed> {
  const { words, rest } = wordsOf(line);
  const [first] = words;
  if (first === undefined || !isCapabilityName(first)) {
    throw new XtaskError(
      "invalid",
      first === undefined ? "Nothing is asked" : `'${first}' is nothing that a node can do`,
      {
        details: [
          `a command begins with one of ${CAPABILITY_NAMES.join(", ")}`,
          "everything else is typed in a terminal",
        ],
      },
    );
  }
  const capability = await loadCapability(first);
  const typed: Typed[] = [];
  const said: string[] = [];
  const app = await application((_context, one) => {
    typed.push(one);
    return Promise.resolve();
  }, [first]);
  await run(app, withDefaultVerb(capability, words), contextOf(rest, said));
  const [only] = typed;
  if (only !== undefined) return only;
  const [what = "This cannot be read", ...details] = said.join("").split("\n").map((text) => text.trim()).filter((
    text,
  ) => text !== "");
  throw new XtaskError("invalid", what, { details: details.slice(0, SAID_MAX) });
}

/** What may stand in place of the line's last word, or after it where the line ends in a space. */
export async function suggestWords(line: string): Promise<Suggestion[]> {
  const begun = /(^|\s)$/.test(line) ? `${line}""` : line;
  let read: ReturnType<typeof wordsOf>;
  try {
    read = wordsOf(begun);
  } catch {
    // A quote that is not closed yet is what is being typed.
    return [];
  }
  // Behind `--` stands what is the program's own; `--` as the last word is the beginning of a flag.
  if (read.rest.length > 0) return [];
  const words = begun.endsWith("--") ? [...read.words, "--"] : read.words;
  const first = words[0] ?? "";
  if (words.length > 1 && !isCapabilityName(first)) return [];
  const app = await application(() => Promise.resolve(), words.length > 1 ? [first] : CAPABILITY_NAMES);
  const proposed = await proposeCompletions(app, words, contextOf([], []));
  return proposed.map(({ completion, brief }) => ({ completion, brief }));
}

/** Lines of an explanation that are passed on. */
const SAID_MAX = 6;

function wordsOf(line: string | readonly string[]): { words: string[]; rest: string[] } {
  const all = typeof line === "string" ? splitWords(line) : [...line];
  if (all[0] === "xtask") all.shift();
  const split = all.indexOf("--");
  const [words, rest] = split < 0 ? [all, []] : [all.slice(0, split), all.slice(split + 1)];
  return { words: words[0] === "run" ? ["task", ...words] : words, rest };
}

async function application(perform: (context: WordsContext, typed: Typed) => Promise<void>, names: readonly string[]) {
  const capabilities = await Promise.all(names.filter(isCapabilityName).map(loadCapability));
  return buildApplication<WordsContext>(
    buildRouteMap({
      docs: { brief: "What nodes can do" },
      routes: Object.fromEntries(
        capabilities.map((one) => [one.name, capabilityCommands<WordsContext>(one, () => Promise.resolve(perform))]),
      ),
    }),
    {
      name: "xtask",
      scanner: { caseStyle: "allow-kebab-for-camel" },
      documentation: { caseStyle: "convert-camel-to-kebab", disableAnsiColor: true, onlyRequiredInUsageLine: true },
      localization: {
        text: {
          ...text_en,
          exceptionWhileRunningCommand: (thrown) => (thrown as Error).message,
          exceptionWhileParsingArguments: (thrown) => (thrown as Error).message,
        },
      },
    },
  );
}

function contextOf(rest: readonly string[], said: string[]): WordsContext {
  const write = (text: string) => void said.push(text);
  return { rest, process: { stdout: { write }, stderr: { write }, env: {} } } as WordsContext;
}
