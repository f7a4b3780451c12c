/** What the hub says of itself when it is asked how it is. */
import * as v from "valibot";
import { Time } from "./time.ts";

/** A hub process, as it names itself where several take turns. */
export const HubProcess = v.object({
  /** Another one at each start. */
  id: v.string(),
  hostname: v.string(),
  pid: v.number(),
  version: v.string(),
  startedAt: Time,
});
/** A hub process, as it names itself where several take turns. */
export type HubProcess = v.InferOutput<typeof HubProcess>;

/** Answer to `health.check`. */
export const Health = v.object({
  version: v.string(),
  /** The hub's clock at the moment of the answer. */
  now: Time,
  /** The process that leads, where several take turns. */
  leader: v.optional(HubProcess),
});
/** Answer to `health.check`. */
export type Health = v.InferOutput<typeof Health>;
