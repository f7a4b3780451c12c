/** What the page's console says while somebody types: how the line may go on, and what it means so far. */
import { Hono } from "hono";
import { XtaskError } from "../protocol/error.ts";
import type { NodeRecord } from "../protocol/node.ts";
import { parseSelector } from "../protocol/selector.ts";
import { readWords, type Suggestion, suggestWords } from "../words/read_words.ts";
import { assertPlacement } from "../words/placement.ts";
import { splitWords } from "../words/split.ts";
import type { HttpEnv } from "./context.ts";
import { lineOf } from "./line.ts";
import type { Model } from "./live/model.ts";

const LINE_MAX = 10_000;
const SUGGESTED_MAX = 50;
/** Nodes that are named of those that run something, and of those that do not. */
const NAMED_MAX = 12;
/** Of what was asked before, lines that are shown, and commands among which they are looked for. */
const HISTORY_MAX = 8;
const LOOKED_AT_MAX = 100;
/** Flags that mean nothing here. */
const OF_A_TERMINAL = ["--json", "--detach", "--context"];

/** `GET /console?words=…`, and for forms `GET /console/target?capability=…&select=…` */
export function consoleRoutes(): Hono<HttpEnv> {
  return new Hono<HttpEnv>().get("/console", async (context) => {
    const line = (context.req.query("words") ?? "").slice(0, LINE_MAX);
    const model = context.get("model");
    const nodes = [...model.nodes.values()];
    const suggestions = line.trim() === ""
      ? [...await askedBefore(model), ...await suggestionsFor(line, nodes)]
      : await suggestionsFor(line, nodes);
    return context.json({ suggestions: suggestions.slice(0, SUGGESTED_MAX), meant: await meaningOf(line, nodes) });
  }).get("/console/target", (context) => {
    const { capability = "", select = "", any, queue } = context.req.query();
    const wish = { capability, select: select.slice(0, LINE_MAX), best: any === "1", queue: queue === "1" };
    return context.json({ meant: targetOf(wish, [...context.get("model").nodes.values()]) });
  });
}

/** What was asked last, by anybody: the history of everybody's consoles. */
async function askedBefore({ commands }: Model): Promise<Suggestion[]> {
  const found = new Map<string, string>();
  for (const command of [...commands.values()].reverse().slice(0, LOOKED_AT_MAX)) {
    const line = await lineOf(command);
    if (line === undefined || found.has(line)) continue;
    found.set(line, `asked${command.by === undefined ? "" : ` by ${command.by.user}`}`);
    if (found.size === HISTORY_MAX) break;
  }
  return [...found].map(([completion, brief]) => ({ completion, brief }));
}

async function suggestionsFor(line: string, nodes: readonly NodeRecord[]): Promise<Suggestion[]> {
  const last = /\S*$/.exec(line)?.[0] ?? "";
  const before = line.slice(0, line.length - last.length).trimEnd();
  const begins = ({ completion }: Suggestion) => completion.startsWith(last);
  if (/(^|\s)--(on|any)$/.test(before)) return selectors(nodes).filter(begins);
  const known = (await suggestWords(line)).filter(({ completion }) => !OF_A_TERMINAL.includes(completion));
  const isTask = /^(xtask\s+)?(run|task(\s+run)?)$/.test(before);
  return [...(isTask ? tasksOf(nodes).filter(begins) : []), ...known];
}

/** Ids, then terms that tell nodes apart. */
function selectors(nodes: readonly NodeRecord[]): Suggestion[] {
  const terms = nodes.flatMap(({ platform: { os, arch }, labels, capabilities }) => [
    `os=${os}`,
    `arch=${arch}`,
    ...Object.entries(labels).map(([name, value]) => `${name}=${value}`),
    ...capabilities.map(({ name }) => `has=${name}`),
  ]);
  return [
    { completion: "all", brief: `every node: ${nodes.length}` },
    ...nodes.map(({ id, platform, state }) => ({ completion: id, brief: `${platform.os}/${platform.arch}, ${state}` })),
    ...[...new Set(terms)].sort().map((term) => ({
      completion: term,
      brief: `${nodes.filter(parseSelector(term)).length} of ${nodes.length} nodes`,
    })),
  ];
}

function tasksOf(nodes: readonly NodeRecord[]): Suggestion[] {
  const found = new Map<string, { desc: string; count: number }>();
  for (const { name, desc } of nodes.flatMap(({ tasks }) => tasks)) {
    const known = found.get(name);
    found.set(name, { desc: known?.desc || desc, count: (known?.count ?? 0) + 1 });
  }
  return [...found].sort(([a], [b]) => a < b ? -1 : 1).map(([completion, { desc, count }]) => ({
    completion,
    brief: [desc, count === 1 ? "on 1 node" : `on ${count} nodes`].filter((text) => text !== "").join(", "),
  }));
}

/** What would become of a command, before it is asked. */
interface Meant {
  /** In words; what is missing, where something is. */
  readonly text: string;
  /** The nodes that it would run on. */
  readonly nodes: readonly string[];
  /** Those that are meant and would not run it now, and why. */
  readonly others: readonly { readonly node: string; readonly why: string }[];
  /** How many more of either there are. */
  readonly more: number;
}

const nothing = (text: string): Meant => ({ text, nodes: [], others: [], more: 0 });

/** What pressing Enter would do, or what is missing. Nothing is asked of anybody. */
async function meaningOf(line: string, nodes: readonly NodeRecord[]): Promise<Meant> {
  try {
    if (splitWords(line).length === 0) return nothing("");
    const { capability: { name: capability, verbs }, verb, placement } = await readWords(line);
    const { on, any, queue = false } = placement;
    assertPlacement(placement, verbs[verb]?.effect ?? "change");
    const what = `${capability} ${verb}`;
    const select = on ?? any ?? "all";
    const meant = meantBy({ capability, select, best: any !== undefined, queue }, nodes);
    if (on === undefined && any === undefined && meant.nodes.length !== 1) {
      return nothing(`${what}: say where, with --on or --any`);
    }
    return { ...meant, text: `${what}: ${meant.text}` };
  } catch (error) {
    const { message } = XtaskError.from(error);
    // Somebody who has just typed the flag is about to say it.
    return nothing(/^Expected input for flag/.test(message) ? "" : message);
  }
}

/** Which nodes a form's selector means. */
function targetOf(wish: Target, nodes: readonly NodeRecord[]): Meant {
  if (wish.select.trim() === "") return nothing("");
  try {
    const meant = meantBy(wish, nodes);
    return { ...meant, text: `${meant.text[0]?.toUpperCase()}${meant.text.slice(1)}` };
  } catch (error) {
    return nothing(XtaskError.from(error).message);
  }
}

/** Where something is to run. */
interface Target {
  readonly capability: string;
  readonly select: string;
  /** Only on the best of those that match. */
  readonly best: boolean;
  /** Nodes that are away are given it when they are back. */
  readonly queue: boolean;
}

function meantBy({ capability, select, best, queue }: Target, all: readonly NodeRecord[]): Meant {
  const matching = all.filter(parseSelector(select)).sort((a, b) => a.id < b.id ? -1 : 1);
  const why = ({ state, capabilities }: NodeRecord) => {
    if (!capabilities.some(({ name }) => name === capability)) return `does not offer ${capability}`;
    if (state === "draining") return "is drained and refuses";
    if (state === "offline") return queue && !best ? "is away, gets it when it is back" : "is away";
    return undefined;
  };
  const nodes = matching.filter((node) => why(node) === undefined).map(({ id }) => id);
  const others = matching.flatMap((node) => why(node) === undefined ? [] : [{ node: node.id, why: why(node) ?? "" }]);
  const left = others.filter(({ why }) => why.endsWith("when it is back")).length;
  const away = others.some(({ why }) => why === "is away");
  const shown = { nodes: nodes.slice(0, NAMED_MAX), others: others.slice(0, NAMED_MAX) };
  return {
    text: wordsFor({ count: nodes.length, left, best }) +
      (away && !best ? "; with --queue it is left at the hub for those that are away" : ""),
    ...shown,
    more: nodes.length + others.length - shown.nodes.length - shown.others.length,
  };
}

function wordsFor({ count, left, best }: { count: number; left: number; best: boolean }): string {
  const nodes = (number: number) => `${number} ${number === 1 ? "node" : "nodes"}`;
  if (count === 0) return left === 0 ? "runs nowhere now" : `waits for ${nodes(left)}`;
  const runs = best && count > 1 ? `runs on the best of ${nodes(count)}` : `runs on ${nodes(count)}`;
  return left === 0 ? runs : `${runs}, waits for ${nodes(left)}`;
}
