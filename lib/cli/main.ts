/** From arguments to a command. Only what the first word needs is loaded. */
import { run } from "@stricli/core";
import { CAPABILITY_NAMES, isCapabilityName, loadCapability } from "../capability/registry.ts";
import { ERROR_CODES } from "../protocol/error.ts";
import { buildXtask, BUILT_IN_NAMES, errorText, type Meant } from "./app.ts";
import { withDefaultVerb } from "../words/verb_command.ts";
import { explained } from "./file_error.ts";
import { createShell } from "./shell.ts";

/** Runs xtask with these arguments; resolves to the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  const split = args.indexOf("--");
  const [own, rest] = split < 0 ? [args, []] : [args.slice(0, split), args.slice(split + 1)];
  const shell = createShell(rest);
  try {
    if (args[0] === "__complete") {
      const { complete }: typeof import("./complete.ts") = await import("./complete.ts" as string);
      await complete(args.slice(1), shell, meantBy);
      return 0;
    }
    let words = own.length > 0 ? [...own] : bare(shell.env);
    const [first = "", ...others] = words;
    if (first === "help") words = [...others, "--help"];
    if (first === "--version") words[0] = "version";
    if (words[0] === "run") words.splice(0, 1, "task", "run");
    const meant = await meantBy(words[0]);
    const capability = meant.capabilities.find(({ name }) => name === words[0]);
    if (capability !== undefined) words = withDefaultVerb(capability, words);
    await run(buildXtask(meant, shell.color), words, shell);
  } catch (thrown) {
    const error = explained(thrown);
    shell.note(errorText(error, shell.color));
    return ERROR_CODES[error.code].exit;
  }
  const code = Number(shell.process.exitCode ?? 0);
  // The library tells its own refusals of arguments by negative codes.
  return code < 0 ? ERROR_CODES.invalid.exit : code;
}

/** With no word at all: the agent where a hub is named, else help. */
function bare(env: Readonly<Record<string, string>>): string[] {
  return env.XTASK_NATS_URL === undefined ? ["--help"] : ["agent"];
}

/** A definition costs its load time, so a command that is no capability loads none; help and typos want them all. */
async function meantBy(word: string | undefined): Promise<Meant> {
  if (word !== undefined && isCapabilityName(word)) {
    // What will run it is wanted next; loading both at once takes no longer than one.
    const [capability] = await Promise.all([
      loadCapability(word),
      import("./execute.ts" as string),
    ]);
    return { capabilities: [capability], builtIns: [] };
  }
  if (word !== undefined && BUILT_IN_NAMES.includes(word)) return { capabilities: [], builtIns: [word] };
  return { capabilities: await Promise.all(CAPABILITY_NAMES.map(loadCapability)), builtIns: BUILT_IN_NAMES };
}
