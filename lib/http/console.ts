/** What the page's console says while somebody types: how the line may go on, and what it means so far. */
import { Hono } from "hono";
import { XtaskError } from "../protocol/error.ts";
import type { NodeRecord } from "../protocol/node.ts";
import { parseSelector } from "../protocol/selector.ts";
import { readWords, type Suggestion, suggestWords } from "../words/read_words.ts";
import { splitWords } from "../words/split.ts";
import type { HttpEnv } from "./context.ts";
import { lineOf } from "./line.ts";
import type { Model } from "./live/model.ts";

const LINE_MAX = 10_000;
const SUGGESTED_MAX = 50;
const NAMED_MAX = 5;
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
    const { capability = "", select = "" } = context.req.query();
    return context.json({
      meant: targetOf(capability, select.slice(0, LINE_MAX), [...context.get("model").nodes.values()]),
    });
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

/** What pressing Enter would do, or what is missing. Nothing is asked of anybody. */
async function meaningOf(line: string, nodes: readonly NodeRecord[]): Promise<string> {
  try {
    if (splitWords(line).length === 0) return "";
    const { capability, verb, placement: { on, any } } = await readWords(line);
    const select = on ?? any;
    const meant = meantBy(select, capability.name, nodes);
    const what = `${capability.name} ${verb}`;
    if (select === undefined && meant.length !== 1) return `${what}: say where, with --on or --any`;
    if (meant.length === 0) return `${what}: no node that is there matches`;
    return any === undefined ? `${what} on ${named(meant)}` : `${what} on the best of ${named(meant)}`;
  } catch (error) {
    const { message } = XtaskError.from(error);
    // Somebody who has just typed the flag is about to say it.
    return /^Expected input for flag/.test(message) ? "" : message;
  }
}

/** Which nodes a form's selector means, in words. */
function targetOf(capability: string, select: string, nodes: readonly NodeRecord[]): string {
  if (select.trim() === "") return "";
  try {
    const meant = meantBy(select, capability, nodes);
    return meant.length === 0 ? "No node that is there matches" : `Runs on ${named(meant)}`;
  } catch (error) {
    return XtaskError.from(error).message;
  }
}

/** Nodes that are there, have the capability, and match. */
function meantBy(select: string | undefined, capability: string, nodes: readonly NodeRecord[]): NodeRecord[] {
  const there = nodes.filter(({ state, capabilities }) =>
    state !== "offline" && capabilities.some(({ name }) => name === capability)
  );
  return select === undefined ? there : there.filter(parseSelector(select));
}

function named(nodes: readonly NodeRecord[]): string {
  const names = nodes.slice(0, NAMED_MAX).map(({ id }) => id).join(", ");
  return nodes.length > NAMED_MAX ? `${names} and ${nodes.length - NAMED_MAX} more` : names;
}
