/** Changing a node itself: its labels, and whether it takes commands. */
import { XtaskError } from "../protocol/error.ts";
import { type LabelChanges, NodeRecord } from "../protocol/node.ts";
import { parseJson } from "../protocol/parse.ts";
import { nodeControlSubject, type NodeControlVerb } from "../protocol/subjects.ts";
import type { Fleet } from "./fleet.ts";

/** What is asked: the verb, and what it takes. */
export type Control =
  | { readonly verb: "label"; readonly input: LabelChanges }
  | { readonly verb: Exclude<NodeControlVerb, "label">; readonly input?: undefined };

/**
 * Asks a node to change. Resolves to its record as it then is.
 *
 * @throws {XtaskError} `invalid` for labels that cannot be, `unavailable` where the node does not answer
 */
export async function controlNode({ bus }: Fleet, id: string, { verb, input }: Control): Promise<NodeRecord> {
  try {
    const answer = await bus.request(nodeControlSubject(id, verb), JSON.stringify(input ?? {}));
    return parseJson(NodeRecord, answer.text(), `answer of ${id}`);
  } catch (error) {
    const { code, details } = XtaskError.from(error);
    if (code !== "unavailable" || details.length > 0) throw error;
    throw new XtaskError("unavailable", `Node '${id}' does not answer`, {
      details: ["see: xtask nodes"],
      cause: error,
    });
  }
}
