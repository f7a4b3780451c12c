/** What the hub says of itself when it is asked how it is. */
import * as v from "valibot";
import { Time } from "./time.ts";

/** Answer to `health.check`. */
export const Health = v.object({
  version: v.string(),
  /** The hub's clock at the moment of the answer. */
  now: Time,
});
/** Answer to `health.check`. */
export type Health = v.InferOutput<typeof Health>;
