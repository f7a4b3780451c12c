/** Holding an answer back until what was asked has ended. */
import * as v from "valibot";
import { WAIT_MS_MAX } from "../../protocol/limits.ts";
import { isTerminal } from "../../protocol/state.ts";
import type { Taken } from "../ask.ts";
import { whole } from "./route.ts";

/** The field of a query that says for how long. */
export const WAIT = {
  wait: v.optional(
    v.pipe(
      whole({ min: 0, max: WAIT_MS_MAX }),
      v.description("Milliseconds that the answer is held back for results; those that came are in it"),
    ),
    "0",
  ),
};

/** 200 where everything that was asked has ended, 202 where something goes on. */
export function answeredStatus({ nodes, moving, results = [] }: Taken): 200 | 202 {
  if (moving !== undefined) return isTerminal(moving.state) ? 200 : 202;
  return results.length === nodes.length ? 200 : 202;
}
