/** What was asked: all of it, and one command. */
import { XtaskError } from "../../protocol/error.ts";
import { CommandId } from "../../protocol/id.ts";
import { parse } from "../../protocol/parse.ts";
import type { CommandRecord } from "../../protocol/run.ts";
import { stateOf } from "../../protocol/move.ts";
import { STATES } from "../../protocol/state.ts";
import { timeOfUlid } from "../../protocol/ulid.ts";
import { commandFrame, titleFrame, unheardFrame } from "../../../ui/command.tsx";
import { commandsFrame } from "../../../ui/commands.tsx";
import { LogViewer } from "../../../ui/log.tsx";
import { commandWords } from "../../../ui/parts.tsx";
import { CommandSearch } from "../../../ui/search.tsx";
import { lineOf } from "../line.ts";
import type { Model } from "../live/model.ts";
import { isFiltered, LISTED_MAX, type Query, type View } from "./view.ts";

/** Commands that are shown where they are not the main thing. */
export const RECENT_MAX = 20;
const YOUNG_MS = 60_000;

/** Every command that is kept. */
export const commands: View = {
  current: "commands",
  open: (model, query) => ({
    title: "Commands",
    head: <CommandSearch search={query.search ?? ""} state={query.state ?? ""} node={query.node ?? ""} />,
    frames: () => {
      const filtered = isFiltered(query, ["search", "state", "node"]);
      return [commandsFrame("commands", chosen(model, query), filtered)];
    },
  }),
};

/** One command. */
export const command: View = {
  current: "commands",
  async open(model, { id }) {
    const asked = parse(CommandId, id, "command id");
    const found = async () => {
      const command = await model.command(asked);
      // Whoever has just asked is here before the nodes' word of it is.
      if (command !== undefined || Date.now() - timeOfUlid(asked) < YOUNG_MS) return command;
      throw new XtaskError("not_found", `There is no command ${asked}`, {
        details: ["see all that are kept: /commands"],
      });
    };
    const command = await found();
    return {
      tail: <LogViewer command={asked} />,
      title: titleOf(command),
      frames: async () => {
        const now = await found();
        const title = titleFrame(titleOf(now));
        if (now === undefined) return [title, unheardFrame()];
        const shown = {
          command: now,
          line: await lineOf(now),
          asked: sameAs(now, model),
          isThere: (node: string) => {
            const state = model.nodes.get(node)?.state;
            return state === undefined ? undefined : state !== "offline";
          },
          now: Date.now(),
        };
        return [title, commandFrame(shown)];
      },
    };
  },
};

function titleOf(command: CommandRecord | undefined): string {
  return command === undefined ? "Asked" : commandWords(command.capability, command.verb, command.input);
}

/** Times that the same was asked, which a command's page leads to. */
const SAME_MAX = 6;

/** The same command asked before and after, on at least one of its nodes. */
function sameAs(command: CommandRecord, model: Model): CommandRecord[] {
  const key = ({ capability, verb, input }: CommandRecord) => JSON.stringify([capability, verb, input]);
  const [wanted, nodes] = [key(command), Object.keys(command.runs)];
  if (command.capability === "" || command.input === undefined) return [];
  return newestFirst(model).filter((one) =>
    one.id === command.id || (key(one) === wanted && nodes.some((node) => Object.hasOwn(one.runs, node)))
  ).slice(0, SAME_MAX);
}

/** The commands that are kept, newest first. */
export function newestFirst({ commands }: Model): CommandRecord[] {
  return [...commands.values()].sort((a, b) => a.id < b.id ? 1 : -1);
}

function chosen(model: Model, { search = "", state = "", node = "" }: Query): CommandRecord[] {
  const wanted = STATES.find((one) => one === state);
  const text = search.toLowerCase();
  return newestFirst(model).filter(({ capability, verb, input, move, runs }) => {
    const of = Object.entries(runs).filter(([id]) => node === "" || id === node);
    const states = move === undefined ? of.map(([, run]) => run.state) : [stateOf({ move, runs })];
    return (of.length > 0 || (move !== undefined && node === "")) &&
      (wanted === undefined || states.includes(wanted)) &&
      commandWords(capability, verb, input).toLowerCase().includes(text);
  }).slice(0, LISTED_MAX);
}
