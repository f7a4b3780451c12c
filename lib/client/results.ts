/** The results of a command's runs, as they are kept. */
import { readStream, STREAM } from "../nats/streams.ts";
import { parseJson } from "../protocol/parse.ts";
import { Result } from "../protocol/run.ts";
import { lastToken, storedResult, storedResults } from "../protocol/subjects.ts";
import type { Fleet } from "./fleet.ts";

/** What is wanted of them. */
export interface ResultsWanted {
  readonly id: string;
  readonly node?: string | undefined;
  /** Those behind this place of the stream: `next` of the page before. @default {0} */
  readonly after?: number | undefined;
  readonly limit: number;
  readonly signal?: AbortSignal;
}

/** Some of them. */
export interface ResultsPage {
  readonly results: Result[];
  /** Where the next page begins; absent where this is the last one. */
  readonly next?: number;
}

/** What one page may hold beside its last result, as JSON. */
const PAGE_BYTES = 4 * 1024 * 1024;

/**
 * Reads a page of results.
 *
 * @throws {XtaskError} `unavailable`
 */
export async function readResults({ bus }: Fleet, wanted: ResultsWanted): Promise<ResultsPage> {
  const { id, node, after = 0, limit, signal } = wanted;
  const results: Result[] = [];
  let bytes = 0;
  const options = {
    subjects: [node === undefined ? storedResults(id) : storedResult(id, node)],
    from: { sequence: after + 1 },
    ...(signal === undefined ? {} : { signal }),
  };
  for await (const message of readStream(bus, STREAM.results, options)) {
    const result = resultOf(new TextDecoder().decode(message.data));
    // The server says whose prefix it came under; what a result says of its node is only its author's word.
    if (result !== undefined && result.id === id && result.node === lastToken(message.subject)) {
      results.push(result);
      bytes += message.data.length;
    }
    const full = results.length >= limit || bytes >= PAGE_BYTES;
    if (full && message.pending > 0) return { results, next: message.sequence };
    if (full) break;
  }
  return { results };
}

/** Undefined for what is none: of another version, or the nonsense of a node that may not hide what others say. */
function resultOf(text: string): Result | undefined {
  try {
    return parseJson(Result, text, "result");
  } catch {
    return undefined;
  }
}
