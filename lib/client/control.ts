/** Changing a node itself: its labels, whether it takes commands, what it does by itself. */
import type * as v from "valibot";
import { XtaskError } from "../protocol/error.ts";
import { type LabelChanges, NodeRecord } from "../protocol/node.ts";
import { parseJson } from "../protocol/parse.ts";
import type { ScheduleInput } from "../protocol/schedule.ts";
import { nodeControlSubject } from "../protocol/subjects.ts";
import type { Fleet } from "./fleet.ts";

/** What is asked: the verb, and what it takes. */
export type Control =
  | { readonly verb: "label"; readonly input: LabelChanges }
  | { readonly verb: "drain" | "resume"; readonly input?: undefined }
  | { readonly verb: "schedule"; readonly input: v.InferInput<typeof ScheduleInput> }
  | { readonly verb: "unschedule"; readonly input: { readonly name: string } };

/**
 * Asks a node to change. Resolves to its record as it then is.
 *
 * @throws {XtaskError} `invalid` for labels or times that cannot be, `unavailable` where the node does not answer
 */
export async function controlNode({ bus }: Fleet, id: string, { verb, input }: Control): Promise<NodeRecord> {
  try {
    const answer = await bus.request(nodeControlSubject(id, verb, bus.user), JSON.stringify(input ?? {}));
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
