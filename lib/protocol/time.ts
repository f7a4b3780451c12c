/** Time as it is sent and stored. */
import * as v from "valibot";

/** RFC 3339, UTC. */
export const Time = v.pipe(v.string(), v.isoTimestamp());
