/** The application: what was typed first decides which of the commands it has. */
import {
  type Application,
  buildApplication,
  buildRouteMap,
  type Command,
  type CommandContext,
  type RouteMap,
  text_en,
} from "@stricli/core";
import type { Capability } from "../capability/define.ts";
import { ERROR_CODES, type XtaskError } from "../protocol/error.ts";
import { BUILT_INS } from "./built_ins.ts";
import { capabilityCommands } from "../words/verb_command.ts";
import { explained } from "./file_error.ts";
import type { Shell } from "./shell.ts";
import { styled } from "./terminal.ts";

type Context = Shell & CommandContext;
type Routes = Record<string, Command<Context> | RouteMap<Context>>;

/** Names of the commands that are no capabilities. */
export const BUILT_IN_NAMES = Object.freeze(Object.keys(BUILT_INS));

/** What this invocation may mean. Help and corrections of a typo want all there is; a known first word wants itself alone. */
export interface Meant {
  readonly capabilities: readonly Capability[];
  /** Some of {@linkcode BUILT_IN_NAMES}. */
  readonly builtIns: readonly string[];
}

/** A word that is further away is another one, and no help. */
const TYPO = { threshold: 5, weights: { insertion: 1, deletion: 2, substitution: 2, transposition: 0 } } as const;

async function loadExecute() {
  const { execute }: typeof import("./execute.ts") = await import("./execute.ts" as string);
  return execute;
}

/** The application with the commands that this invocation may mean. */
export function buildXtask({ capabilities, builtIns }: Meant, color: boolean): Application<Context> {
  const names = [...capabilities.map(({ name }) => name), ...builtIns];
  const asked = names.length === 1 ? `${names[0]} ` : "";
  const derived: Routes = Object.fromEntries(
    capabilities.map((capability) => [capability.name, capabilityCommands<Context>(capability, loadExecute)]),
  );
  return buildApplication<Context>(
    buildRouteMap({
      docs: { brief: "Run your Taskfile's tasks on every machine of the team" },
      routes: { ...derived, ...made(builtIns) },
    }),
    {
      name: "xtask",
      scanner: { caseStyle: "allow-kebab-for-camel", distanceOptions: TYPO },
      documentation: { caseStyle: "convert-camel-to-kebab", disableAnsiColor: !color, onlyRequiredInUsageLine: true },
      determineExitCode: (thrown) => ERROR_CODES[explained(thrown).code].exit,
      localization: {
        text: {
          ...text_en,
          exceptionWhileRunningCommand: (thrown) => errorText(explained(thrown), color),
          exceptionWhileParsingArguments: (thrown) =>
            `${styled("error", "red", color)}: ${parsingText(thrown)}\n  see: xtask ${asked}--help`,
          noCommandRegisteredForInput: ({ input, corrections }) =>
            [
              `${styled("error", "red", color)}: There is no command '${input}'`,
              ...(corrections.length > 0 ? [`  did you mean ${corrections.join(" or ")}?`] : ["  see: xtask --help"]),
            ].join("\n"),
        },
      },
    },
  );
}

function made(names: readonly string[]): Routes {
  return Object.fromEntries(names.flatMap((name) => {
    const make = BUILT_INS[name];
    return make === undefined ? [] : [[name, make()]];
  }));
}

/** An error as people read it: what, then what to do. */
export function errorText(error: XtaskError, color: boolean): string {
  const cause = error.code === "internal" && error.cause instanceof Error ? `\n${error.cause.stack ?? ""}` : "";
  return [`${styled("error", "red", color)}: ${error.message}`, ...error.details.map((line) => `  ${line}`)].join(
    "\n",
  ) + cause;
}

function parsingText(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
