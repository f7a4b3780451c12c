/**
 * What NATS JWTs (version 2) say. Names and units are those on the wire, fixed by the server. Fields that xtask does not
 * know are kept, so that operators and accounts made by other tools survive a round trip.
 */
import * as v from "valibot";

const Subjects = v.array(v.string());
const Permission = v.object({ allow: v.optional(Subjects), deny: v.optional(Subjects) });

const PERMISSIONS = {
  /** What may be published to. Absent: everything. */
  pub: v.optional(Permission),
  /** What may be subscribed to; `subject queue` binds a queue group. Absent: everything. */
  sub: v.optional(Permission),
  /** Answering requests on subjects not otherwise allowed: messages for each request, and nanoseconds. */
  resp: v.optional(v.object({ max: v.number(), ttl: v.number() })),
};

const USER_LIMITS = {
  /** Subscriptions; -1 is unlimited. */
  subs: v.optional(v.number()),
  /** Bytes in all; -1 is unlimited. */
  data: v.optional(v.number()),
  /** Bytes of one message; -1 is unlimited. */
  payload: v.optional(v.number()),
  allowed_connection_types: v.optional(
    v.array(v.picklist(["STANDARD", "WEBSOCKET", "LEAFNODE", "LEAFNODE_WS", "MQTT", "MQTT_WS", "IN_PROCESS"])),
  ),
  bearer_token: v.optional(v.boolean()),
};

/** Publish, subscribe and response permissions with a user's limits: a user's own, or a scoped key's template. */
export const UserRights = v.looseObject({ ...PERMISSIONS, ...USER_LIMITS });
export type UserRights = v.InferOutput<typeof UserRights>;

/** A signing key that can only make users with exactly these rights; `{{name()}}` in a subject is the user's name. */
export const UserScope = v.looseObject({
  kind: v.literal("user_scope"),
  key: v.string(),
  role: v.string(),
  template: UserRights,
  description: v.optional(v.string()),
});
export type UserScope = v.InferOutput<typeof UserScope>;

/** An account's limits: -1 is unlimited, 0 or absent is none; sizes in bytes. */
export const AccountLimits = v.looseObject({
  subs: v.optional(v.number()),
  data: v.optional(v.number()),
  payload: v.optional(v.number()),
  imports: v.optional(v.number()),
  exports: v.optional(v.number()),
  wildcards: v.optional(v.boolean()),
  conn: v.optional(v.number()),
  leaf: v.optional(v.number()),
  mem_storage: v.optional(v.number()),
  disk_storage: v.optional(v.number()),
  streams: v.optional(v.number()),
  consumer: v.optional(v.number()),
});
export type AccountLimits = v.InferOutput<typeof AccountLimits>;

const VERSION = { version: v.optional(v.number()) };
const Share = v.looseObject({
  name: v.optional(v.string()),
  subject: v.string(),
  type: v.picklist(["stream", "service"]),
});

/** What an operator's JWT says. */
export const OperatorFacts = v.looseObject({
  type: v.literal("operator"),
  ...VERSION,
  signing_keys: v.optional(v.array(v.string())),
  system_account: v.optional(v.string()),
});

/** What an account's JWT says. */
export const AccountFacts = v.looseObject({
  type: v.literal("account"),
  ...VERSION,
  limits: v.optional(AccountLimits),
  signing_keys: v.optional(v.array(v.union([v.string(), UserScope]))),
  /** Public key of a user, or `*`: JWTs issued up to this time (Unix seconds) are refused. */
  revocations: v.optional(v.record(v.string(), v.number())),
  imports: v.optional(v.array(Share)),
  exports: v.optional(v.array(Share)),
});

/** What a user's JWT says. Under a scoped key it carries no rights of its own: the server refuses it otherwise. */
export const UserFacts = v.looseObject({
  type: v.literal("user"),
  ...VERSION,
  ...PERMISSIONS,
  ...USER_LIMITS,
  /** The account, where one of its signing keys made the JWT. */
  issuer_account: v.optional(v.string()),
});

/** A whole JWT's claims. Times are Unix seconds. */
export const Claims = v.looseObject({
  sub: v.string(),
  iss: v.string(),
  name: v.optional(v.string(), ""),
  iat: v.number(),
  exp: v.optional(v.number()),
  jti: v.optional(v.string()),
  nats: v.variant("type", [OperatorFacts, AccountFacts, UserFacts]),
});
export type Claims = v.InferOutput<typeof Claims>;

/** An account without limits, JetStream included. */
export const UNLIMITED_ACCOUNT = {
  subs: -1,
  data: -1,
  payload: -1,
  imports: -1,
  exports: -1,
  wildcards: true,
  conn: -1,
  leaf: -1,
  mem_storage: -1,
  disk_storage: -1,
  streams: -1,
  consumer: -1,
} as const satisfies AccountLimits;

/** The limits of a user, or of a scoped key's template, without any. Absent limits of a user mean none allowed. */
export const UNLIMITED_USER = { subs: -1, data: -1, payload: -1 } as const satisfies UserRights;
