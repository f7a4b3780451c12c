/**
 * Drive a fleet from a program or a test.
 *
 * ```ts ignore
 * import { connect } from "@xtask/xtask";
 *
 * await using fleet = await connect({ servers: "nats://127.0.0.1:4222", creds: await Deno.readTextFile("user.creds") });
 * const results = await fleet.run("task.run", { args: ["test"] }, { on: "os=linux" });
 * for (const { node, state, output } of results) console.log(node, state, output.tail);
 * ```
 *
 * @module
 */
export {
  connect,
  type Connection,
  type Keeping,
  type RunOptions,
  type RunOptionsAnywhere,
} from "./lib/client/connect.ts";
export type { FollowEvent, LogEvent } from "./lib/client/follow.ts";
export type { MovingEvent } from "./lib/client/follow_moving.ts";
export { type Capability, defineCapability, type RunContext, type Verb, verb } from "./lib/capability/define.ts";
export { ERROR_CODES, type ErrorCode, WireError, XtaskError } from "./lib/protocol/error.ts";
export { Alert, Event } from "./lib/protocol/event.ts";
export { newCommandId } from "./lib/protocol/id.ts";
export { Heartbeat, Labels, NodeRecord } from "./lib/protocol/node.ts";
export { CancelReply, CommandRecord, Ongoing, Refusal, Reply, Result } from "./lib/protocol/run.ts";
export { parseSelector } from "./lib/protocol/selector.ts";
