/** Wishing that a node ends a run. */
import { XtaskError } from "../protocol/error.ts";
import { parseJson } from "../protocol/parse.ts";
import { CancelReply } from "../protocol/run.ts";
import { runSubject } from "../protocol/subjects.ts";
import type { Bus } from "./bus.ts";

/** A run gets its grace to end before the node answers. */
const CANCEL_MS = 15_000;

/**
 * What became of it; `unreachable` where the node does not answer.
 *
 * @throws {XtaskError} where it may not be asked
 */
export async function cancelOn(bus: Bus, node: string, id: string): Promise<CancelReply["outcome"]> {
  try {
    const answer = await bus.request(runSubject(node, "cancel"), JSON.stringify({ id }), { timeoutMs: CANCEL_MS });
    return parseJson(CancelReply, answer.text(), "answer to run.cancel").outcome;
  } catch (error) {
    const { code } = XtaskError.from(error);
    if (code === "unavailable" || code === "timeout") return "unreachable";
    throw error;
  }
}
