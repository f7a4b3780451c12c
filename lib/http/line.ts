/** A command that was asked, as somebody would type it. */
import { isCapabilityName, loadCapability } from "../capability/registry.ts";
import type { CommandRecord } from "../protocol/run.ts";
import { writeWords } from "../words/write_words.ts";

/** Nodes that are named; more are not what anybody typed. */
const NAMED_MAX = 20;

/** The line without `xtask`; undefined where none means this command, or too much of it is not kept. */
export async function lineOf({ capability, verb, input, runs, move }: CommandRecord): Promise<string | undefined> {
  if (!isCapabilityName(capability) || typeof input !== "object" || input === null) return undefined;
  const asked = { capability: await loadCapability(capability), verb, input: input as Record<string, unknown> };
  if (move !== undefined) return writeWords({ ...asked, moveAmong: move.any });
  const nodes = Object.keys(runs).sort();
  if (nodes.length === 0 || nodes.length > NAMED_MAX) return undefined;
  const [only] = nodes;
  const on = nodes.length === 1 && only !== undefined ? only : `id=${nodes.join("|")}`;
  return writeWords({ ...asked, on });
}
