/** What may follow what has been typed: what the completion scripts of shells ask. */
import { type InputCompletion, proposeCompletions, type RouteMap } from "@stricli/core";
import { withDefaultVerb } from "../words/verb_command.ts";
import { buildXtask, type Meant } from "./app.ts";
import { BUILT_INS } from "./built_ins.ts";
import type { Shell } from "./shell.ts";

/** Prints what may stand in place of the last word, one a line, with what it means behind a tab. */
export async function complete(
  words: readonly string[],
  shell: Shell,
  meantBy: (first: string | undefined) => Promise<Meant>,
): Promise<void> {
  const last = words.at(-1) ?? "";
  // What stands behind `--` belongs to another program.
  if (words.slice(0, -1).includes("--")) return;
  const full = words[0] === "run" && words.length > 1 ? ["task", "run", ...words.slice(1)] : [...words];
  const [first] = full;
  const meant = await meantBy(full.length > 1 ? first : undefined);
  const capability = meant.capabilities.find(({ name }) => name === first);
  const verb = capability !== undefined && (full.length > 2 || last.startsWith("-"));
  const typed = verb ? withDefaultVerb(capability, full) : full;
  const proposed = await proposeCompletions(buildXtask(meant, false), typed, shell);
  const subcommands = full.length === 2 && first !== undefined ? subcommandsOf(first, last) : [];
  if (full.length === 1 && "run".startsWith(last)) shell.print("run\tThe same as task run");
  const seen = new Set<string>();
  for (const { completion, brief } of [...subcommands, ...proposed]) {
    if (!seen.has(completion)) shell.print(`${completion}\t${brief}`);
    seen.add(completion);
  }
}

/** A command that has a default among its own is asked only about that by the library. */
function subcommandsOf(first: string, partial: string): InputCompletion[] {
  const made = BUILT_INS[first]?.();
  if (made === undefined || !("getAllEntries" in made)) return [];
  return (made as RouteMap<never>).getAllEntries().flatMap(({ name, target }) => {
    const completion = name["convert-camel-to-kebab"];
    return completion.startsWith(partial) ? [{ kind: "routing-target:command", completion, brief: target.brief }] : [];
  });
}
