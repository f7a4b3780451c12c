/** Ids of nodes, projects and users, and of commands. One rule for the first three, so that no subject reads two ways. */
import * as v from "valibot";
import { isUlid, newUlid } from "./ulid.ts";

/**
 * What may never be the id of a node, a project or a user: it is already a word of the subject space, or one that every
 * JavaScript object knows, which a record by ids could mistake for an entry.
 */
export const RESERVED_IDS: ReadonlySet<string> = new Set(
  ("nodes broadcast hub up out cmd results logs metrics alerts events heartbeat register discover status team global user " +
    "project api kv obj svc sys run node task which got silent kill-port docker git " +
    "constructor prototype").split(" "),
);

/** Author of what the hub itself reports; a reserved id, so no node can have it. */
export const HUB_AUTHOR = "hub";

const ID = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** A node, project or user id: `[a-z0-9][a-z0-9_-]{0,62}` and none of {@linkcode RESERVED_IDS}. */
export const Id = v.pipe(
  v.string(),
  v.regex(ID, "expected 1 to 63 of a-z, 0-9, '-' and '_', beginning with a letter or digit"),
  v.check((id) => !RESERVED_IDS.has(id), (issue) => `'${issue.input}' is a reserved word; choose another`),
);

/** A word of a subject. */
export const Token = v.pipe(v.string(), v.maxLength(63));

/** A command id: a ULID in capitals, chosen by the caller or made by {@linkcode newCommandId}. */
export const CommandId = v.pipe(
  v.string(),
  v.check(isUlid, "expected a ULID (26 of 0-9 A-Z), such as `xtask` makes"),
);

/** A new command id; ids made later sort later. */
export function newCommandId(now: number = Date.now()): string {
  return newUlid(now);
}

/** Whether the text may be the id of a node, a project or a user. */
export function isId(text: string): boolean {
  return ID.test(text) && !RESERVED_IDS.has(text);
}

/**
 * The node id that a host name suggests: lower case, everything else becomes `-`.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { nodeIdFromHostname } from "./id.ts";
 *
 * assert.equal(nodeIdFromHostname("Dev Mac.local"), "dev-mac-local");
 * assert.equal(nodeIdFromHostname("hub"), "node-hub");
 * ```
 */
export function nodeIdFromHostname(hostname: string): string {
  const id = hostname.toLowerCase().replaceAll(/[^a-z0-9_]+/g, "-").replaceAll(/^[-_]+|-+$/g, "").slice(0, 58);
  if (isId(id)) return id;
  return id === "" ? "node" + "-0" : `node-${id}`;
}
