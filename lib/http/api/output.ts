/** `/api/v1/commands/{id}/results` and `…/logs`: what came of a command, and what its runs wrote, a page at a time. */
import { accepts } from "hono/accepts";
import * as v from "valibot";
import type { LogLine, RunLog } from "../../client/log/run_log.ts";
import { shownLine } from "../../client/log/pieces.ts";
import { readResults } from "../../client/results.ts";
import { XtaskError } from "../../protocol/error.ts";
import { CommandId, Id } from "../../protocol/id.ts";
import { LOG_LINES_MAX } from "../../protocol/limits.ts";
import { Time } from "../../protocol/time.ts";
import { CommandRecord, Result } from "../../protocol/run.ts";
import type { HttpContext } from "../context.ts";
import { type ApiRoute, route, whole } from "./route.ts";

const params = { id: CommandId };
const NUMBER_MAX = 1e9;
/** Lines of a page where nothing else is said. */
const PAGE_LINES = 500;

const Line = v.object({
  number: v.pipe(v.number(), v.description("From 1")),
  stream: v.picklist(["out", "err"]),
  at: v.pipe(Time, v.description("When it was read from the process")),
  text: v.pipe(
    v.string(),
    v.description("As it stands on a screen: without colours, the last state of a progress bar"),
  ),
  cut: v.optional(v.pipe(v.number(), v.description("Characters of it that are left out"))),
  gap: v.optional(v.pipe(v.number(), v.description("Bytes that are missing here; the line stands for them"))),
});
type Line = v.InferOutput<typeof Line>;
const Lines = v.object({
  node: v.string(),
  total: v.pipe(v.number(), v.description("Lines so far")),
  ended: v.pipe(v.boolean(), v.description("Whether no more will come")),
  lines: v.array(Line),
  next: v.optional(v.pipe(v.number(), v.description("Give it as ?after= for what comes next; absent at the end"))),
});
type Lines = v.InferOutput<typeof Lines>;

const LOG_QUERY = {
  node: v.optional(v.pipe(Id, v.description("Needless where it ran on one node"))),
  from: v.optional(v.pipe(whole({ min: 1, max: NUMBER_MAX }), v.description("The first line wanted"))),
  to: v.optional(v.pipe(whole({ min: 1, max: NUMBER_MAX }), v.description("The last line wanted"))),
  after: v.optional(v.pipe(whole({ min: 0, max: NUMBER_MAX }), v.description("The last line that was read"))),
  tail: v.optional(v.pipe(whole({ min: 1, max: LOG_LINES_MAX }), v.description("The last so many lines"))),
  limit: v.optional(
    v.pipe(whole({ min: 1, max: LOG_LINES_MAX }), v.description(`At most so many lines; ${PAGE_LINES} behind after`)),
  ),
  search: v.optional(
    v.pipe(v.string(), v.minLength(1), v.maxLength(1_000), v.description("Only lines that hold this text")),
  ),
  case: v.optional(v.pipe(v.picklist(["0", "1"]), v.description("1: capitals count")), "0"),
};
type LogQuery = v.InferOutput<v.ObjectSchema<typeof LOG_QUERY, undefined>>;

/** One answer may hold this much text. */
const ANSWER_CHARS = 4 * 1024 * 1024;
/** Lines that are read at once. */
const CHUNK = 250;

/** A result, and whether a later attempt was placed, so that nothing of this one counts. */
const KeptResult = v.object({ ...Result.entries, stale: v.optional(v.boolean()) });

/** The routes. */
export const OUTPUT_ROUTES: readonly ApiRoute[] = [
  route({
    method: "GET",
    path: "/commands/{id}/results",
    name: "listResults",
    summary: "The results of a command's runs that have ended",
    tag: "commands",
    params,
    query: {
      node: v.optional(Id),
      limit: v.optional(whole({ min: 1, max: 500 }), "100"),
      after: v.optional(v.pipe(whole({ min: 0, max: 1e15 }), v.description("next of the page before"))),
    },
    answer: v.object({ results: v.array(KeptResult), next: v.optional(v.number()) }),
    answers: [{ status: 200, says: "Results, those first that came first; next where there are more" }],
    async handle({ params: { id }, query }, context) {
      const { signal } = context.req.raw;
      const page = await readResults(context.get("fleet"), { id, ...query, signal });
      // Nothing has ended, or there is no such command.
      if (page.results.length === 0) await commandOf(context, id);
      const newest = page.results.length === 0 ? undefined : await newestAttempt(context, id);
      return {
        ...page,
        results: page.results.map((result) => result.attempt < (newest ?? 0) ? { ...result, stale: true } : result),
      };
    },
  }),
  route({
    method: "GET",
    path: "/commands/{id}/logs",
    name: "readLogs",
    summary: "Lines of what a run wrote",
    description:
      "A range by from and to, a page by after and limit, or the tail; with search, those of it that match. " +
      "As JSON, or as plain text with Accept: text/plain, where Xtask-Next, Xtask-Total and Xtask-Ended are headers.",
    tag: "commands",
    params,
    query: LOG_QUERY,
    answer: Lines,
    answers: [{ status: 200, says: "The lines", media: ["text/plain"] }],
    async handle({ params: { id }, query }, context) {
      const node = query.node ?? await onlyNode(context, id);
      using used = context.get("logs").use(node, id);
      const found = await linesOf(used.log, query, context.req.raw.signal);
      const type = accepts(context, {
        header: "Accept",
        supports: ["application/json", "text/plain"],
        default: "application/json",
      });
      return type === "text/plain" ? plain(context, found) : { node, ...found };
    },
  }),
];

/** Of a command that may move: the attempt that counts. Undefined for others, and where no hub knows. */
async function newestAttempt(context: HttpContext, id: string): Promise<number | undefined> {
  return await commandOf(context, id).then(({ move }) => move?.attempt, () => undefined);
}

async function commandOf(context: HttpContext, id: string): Promise<CommandRecord> {
  return await context.get("fleet").hub("command", "show", { id }, CommandRecord);
}

async function onlyNode(context: HttpContext, id: string): Promise<string> {
  const nodes = Object.keys((await commandOf(context, id)).runs).sort();
  const [only, ...more] = nodes;
  if (only !== undefined && more.length === 0) return only;
  throw new XtaskError("invalid", "Which node's output?", {
    details: [`add ?node=ID: it ran on ${nodes.slice(0, 20).join(", ")}`],
  });
}

async function linesOf(log: RunLog, query: LogQuery, signal: AbortSignal): Promise<Omit<Lines, "node">> {
  await log.indexed;
  const { first, last } = rangeOf(query, log.lines);
  const limit = query.limit ?? (query.to === undefined && query.tail === undefined ? PAGE_LINES : LOG_LINES_MAX);
  const lines: Line[] = [];
  let chars = 0;
  let next: number | undefined;
  for await (const line of wanted(log, query, { first, last }, signal)) {
    // What was read so far is the answer; where this one would be too much, it begins the next.
    if (lines.length === limit || (chars > 0 && chars + line.text.length > ANSWER_CHARS)) {
      next = lines.at(-1)?.number;
      break;
    }
    lines.push(line);
    chars += line.text.length;
  }
  return { total: log.lines, ended: log.ended, lines, ...(next === undefined ? {} : { next }) };
}

/** The numbers of the first and the last line that are meant, from 1. */
function rangeOf({ from, to, after, tail }: LogQuery, total: number): { first: number; last: number } {
  const ways = [after, tail, from ?? to].filter((way) => way !== undefined);
  if (ways.length > 1) {
    throw new XtaskError("invalid", "A range, a page and the tail exclude each other", {
      details: ["give from and to, or after, or tail"],
    });
  }
  if (tail !== undefined) return { first: Math.max(1, total - tail + 1), last: total };
  if (after !== undefined) return { first: after + 1, last: total };
  return { first: from ?? 1, last: Math.min(to ?? total, total) };
}

async function* wanted(
  log: RunLog,
  { search, case: sensitive }: LogQuery,
  { first, last }: { first: number; last: number },
  signal: AbortSignal,
): AsyncIterable<Line> {
  if (search !== undefined) {
    for await (const match of log.matches({ text: search, caseSensitive: sensitive === "1" }, signal)) {
      const { number, stream, at, text } = match;
      if (number + 1 > last) return;
      if (number + 1 >= first) yield lineOf({ number, stream, at, ...shownLine(text) });
    }
    return;
  }
  for (let at = first; at <= last;) {
    const chunk = await log.range(at - 1, Math.min(CHUNK, last - at + 1), signal);
    if (chunk.length === 0) return;
    for (const line of chunk) yield lineOf(line);
    at += chunk.length;
  }
}

function lineOf({ number, stream, at, pieces, cut, gap }: LogLine): Line {
  return {
    number: number + 1,
    stream,
    at: at.toISOString(),
    text: pieces.map(({ text }) => text).join(""),
    ...(cut > 0 ? { cut } : {}),
    ...(gap === undefined ? {} : { gap }),
  };
}

function plain(context: HttpContext, { lines, next, total, ended }: Omit<Lines, "node">): Response {
  const text = lines.map(({ text, gap }) => gap === undefined ? `${text}\n` : `[${gap} bytes are missing here]\n`);
  return context.body(text.join(""), 200, {
    "content-type": "text/plain; charset=utf-8",
    "xtask-total": String(total),
    "xtask-ended": String(ended),
    ...(next === undefined ? {} : { "xtask-next": String(next) }),
  });
}
