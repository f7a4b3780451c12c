/** Changing a node itself: its labels, whether it takes commands, what it does by itself. */
import type * as v from "valibot";
import { XtaskError } from "../protocol/error.ts";
import { Id } from "../protocol/id.ts";
import { type LabelChanges, NodeRecord } from "../protocol/node.ts";
import { parse, parseJson } from "../protocol/parse.ts";
import type { ScheduleInput } from "../protocol/schedule.ts";
import { nodeControlSubject } from "../protocol/subjects.ts";
import type { Fleet } from "./fleet.ts";
import { silentNode } from "./silent_node.ts";

/** What is asked: the verb, and what it takes. */
export type Control =
  | { readonly verb: "label"; readonly input: LabelChanges }
  | { readonly verb: "drain" | "resume"; readonly input?: undefined }
  | { readonly verb: "schedule"; readonly input: v.InferInput<typeof ScheduleInput> }
  | { readonly verb: "unschedule"; readonly input: { readonly name: string } };

/**
 * Asks a node to change. Resolves to its record as it then is.
 *
 * @throws {XtaskError} `invalid` for labels, times or ids that cannot be, `not_found` where no node has the id, `unavailable`
 * where it does not answer
 */
export async function controlNode(fleet: Fleet, id: string, { verb, input }: Control): Promise<NodeRecord> {
  const { bus } = fleet;
  parse(Id, id, "node id");
  try {
    const answer = await bus.request(nodeControlSubject(id, verb, bus.user), JSON.stringify(input ?? {}));
    return parseJson(NodeRecord, answer.text(), `answer of ${id}`);
  } catch (error) {
    const { code, details } = XtaskError.from(error);
    if (code !== "unavailable" || details.length > 0) throw error;
    throw await silentNode(() => fleet.nodes(), id, error);
  }
}
