/**
 * Every subject of xtask: the only file with subject literals. A build form makes the subject that a message is sent to, a
 * match form (`…Any`, `…Of`) the pattern that is subscribed to, and `parseNodeSubject` reads one back.
 *
 * A node publishes under its own prefixes alone; the server derives the public subjects from them (see streams.ts), so
 * that a fact is always its author's.
 */
import { isId } from "./id.ts";

/** How a public subject shows its literal tokens: ids are checked where they enter, here they are only placed. */
function subject(...tokens: string[]): string {
  return ["xtask", ...tokens].join(".");
}

// What a node is asked.

/** `xtask.{node}.{capability}.{verb}`: the command itself. The asker's own name may end it, which proves who asks. */
export const commandSubject = (node: string, capability: string, verb: string, author?: string): string =>
  subject(node, capability, verb, ...(author === undefined ? [] : [author]));
/** `xtask.{node}.>`: all that a node is asked. */
export const nodeSubjects = (node: string): string => subject(node, ">");
/** `xtask.broadcast.{capability}.{verb}`: every node that has the capability and matches `{select}`. */
export const broadcastSubject = (capability: string, verb: string): string => subject("broadcast", capability, verb);
/** `xtask.broadcast.>`: all broadcasts. */
export const BROADCASTS = subject("broadcast", ">");
/** `xtask.{node}.run.{verb}`: about a run of the node: `cancel`, `status`. */
export const runSubject = (node: string, verb: RunVerb): string => subject(node, "run", verb);
/** What a node answers about its runs. */
export type RunVerb = "cancel" | "status";
/** `xtask.{node}.node.{verb}`: about the node itself. The asker's own name may end it, which proves who asks. */
export const nodeControlSubject = (node: string, verb: NodeControlVerb, author?: string): string =>
  commandSubject(node, "node", verb, author);
/** What a node lets be changed about itself: see agent/door.ts. */
export type NodeControlVerb = "label" | "drain" | "resume" | "schedule" | "unschedule";
/** `xtask.nodes.discover`: every node, or those matching `{select}`, answers with its record. */
export const DISCOVER = subject("nodes", "discover");
/** `xtask.nodes.{node}.status`: one node's record. */
export const statusSubject = (node: string): string => subject("nodes", node, "status");

// What a node reports, under its own prefix.

/** `xtask.nodes.register.{node}`: the node's record, at joining and on change; the hub answers. */
export const registerSubject = (node: string): string => subject("nodes", "register", node);
/** `xtask.nodes.register.*` */
export const REGISTER_ANY = subject("nodes", "register", "*");
/** `xtask.nodes.heartbeat.{node}`: every 5 s. */
export const heartbeatSubject = (node: string): string => subject("nodes", "heartbeat", node);
/** `xtask.nodes.heartbeat.*` */
export const HEARTBEAT_ANY = subject("nodes", "heartbeat", "*");
/** `xtask.nodes.heartbeat`: where heartbeats are republished for whoever watches. */
export const HEARTBEATS = subject("nodes", "heartbeat");
/** `xtask.up.{node}.results.{command}` */
export const upResult = (node: string, command: string): string => subject("up", node, "results", command);
/** `xtask.up.{node}.logs.{command}` */
export const upLog = (node: string, command: string): string => subject("up", node, "logs", command);
/** `xtask.up.{node}.log` */
export const upAgentLog = (node: string): string => subject("up", node, "log");
/** `xtask.up.{node}.events.{type}` */
export const upEvent = (node: string, type: string): string => subject("up", node, "events", type);
/** `xtask.up.*.events.*` */
export const UP_EVENTS = subject("up", "*", "events", "*");
/** `xtask.up.{node}.alerts.{severity}` */
export const upAlert = (node: string, severity: string): string => subject("up", node, "alerts", severity);
/** `xtask.up.{node}.metrics` */
export const upMetrics = (node: string): string => subject("up", node, "metrics");
/**
 * `xtask.up.{node}.mark.{store}`: begins each batch of reports from a leaf node. Its sequence in the stream is what the next
 * batch of the same store names, so that a batch which was sent twice is stored once.
 */
export const upMark = (node: string, store: string): string => subject("up", node, "mark", store);
/** `xtask.out.…` for `xtask.up.…`: a report in the node's own store, before it is forwarded. */
export const outOf = (up: string): string => up.replace(/^xtask\.up\./, "xtask.out.");
/** `xtask.up.…` for `xtask.out.…` */
export const upOfOut = (out: string): string => out.replace(/^xtask\.out\./, "xtask.up.");
/** `xtask.out.>`: all that a leaf node keeps for the hub. It never crosses the link. */
export const OUT_ANY = subject("out", ">");
/** `xtask.up.{node}.>`: all that one node may publish. */
export const upOf = (node: string): string => subject("up", node, ">");
/** `xtask.up.*.>`: all that nodes report. */
export const UP_ANY = subject("up", "*", ">");

// What everybody may listen to, derived by the server.

/** `xtask.results.{command}` */
export const resultSubject = (command: string): string => subject("results", command);
/** `xtask.logs.{node}.{command}`: a run's output. */
export const logSubject = (node: string, command: string): string => subject("logs", node, command);
/** `xtask.logs.*.{command}`: a command's output on every node. */
export const logsOfCommand = (command: string): string => subject("logs", "*", command);
/** `xtask.logs.{node}`: the agent's own log. */
export const agentLogSubject = (node: string): string => subject("logs", node);
/** `xtask.logs.*`: the logs of all agents. */
export const AGENT_LOGS = subject("logs", "*");
/** `xtask.logs.{node}` and `xtask.logs.{node}.*`: the agent's own log and the output of its runs. */
export const logsOfNode = (node: string): string[] => [subject("logs", node), subject("logs", node, "*")];
/** `xtask.metrics.{node}` */
export const metricsSubject = (node: string): string => subject("metrics", node);
/** `xtask.metrics.*` */
export const METRICS_ANY = subject("metrics", "*");
/** As stored: `xtask.alerts.*.*`. */
export const ALERTS_STORED = subject("alerts", "*", "*");
/** `xtask.logs.>` */
export const LOGS_ANY = subject("logs", ">");
/** `xtask.events.{project}.{type}` */
export const eventSubject = (project: string, type: string): string => subject("events", project, type);
/** `xtask.events.{project}.*` */
export const eventsOf = (project: string): string => subject("events", project, "*");
/** `xtask.events.*.*`: those of the project that a credential is for. */
export const EVENTS_ANY = subject("events", "*", "*");
/** `xtask.alerts.*` */
export const ALERTS_ANY = subject("alerts", "*");

// People, on channels of their project. The server lets the last word be the speaker's own name alone.

/** `xtask.{project}.{to}.note.{author}`: something told to the `team`, to one user, or announced to all: `global`. */
export const noteSubject = (project: string, to: string, author: string): string =>
  subject(project, to, "note", author);
/** `xtask.{project}.*.note.*`: all that people tell. */
export const notesOf = (project: string): string => subject(project, "*", "note", "*");
/** `xtask.{project}.team.here.{user}`: somebody is here, told again and again while it is so. */
export const hereSubject = (project: string, user: string): string => subject(project, "team", "here", user);
/** `xtask.{project}.team.here.*`: who is here. */
export const hereOf = (project: string): string => subject(project, "team", "here", "*");

/** `$KV.xtask_alerts.{key}`: each alert as it stands, whoever changed it. */
export const ALERT_RECORDS = "$KV.xtask_alerts.>";

/** `$KV.{bucket}.{key}`: where a key of a bucket is written. */
export const bucketSubject = (bucket: string, key: string): string => `$KV.${bucket}.${key}`;
/** `$KV.{bucket}.>`: all keys of a bucket. */
export const bucketSubjects = (bucket: string): string => bucketSubject(bucket, ">");

// The hub.

/** `xtask.hub.{noun}.{verb}`: what needs the fleet's view. The asker's own name may end it, which proves who asks. */
export const hubSubject = (noun: string, verb: string, author?: string): string =>
  subject("hub", noun, verb, ...(author === undefined ? [] : [author]));
/** `xtask.hub.>`: all that the hub is asked. */
export const HUB_ANY = subject("hub", ">");
/** `xtask.hub.lease.renew.{node}`: a node asks that its runs which may move go on. */
export const leaseRenewSubject = (node: string): string => subject("hub", "lease", "renew", node);
/** `xtask.hub.auth.join.{invite}`: a machine asks for its credential. */
export const joinSubject = (invite: string): string => subject("hub", "auth", "join", invite);
/** `xtask.hub.auth.join.*` */
export const JOIN_ANY = subject("hub", "auth", "join", "*");

/** `$JS.API.STREAM.SNAPSHOT.{stream}`: the server writes a stream for whoever may do everything. */
export const snapshotSubject = (stream: string): string => `$JS.API.STREAM.SNAPSHOT.${stream}`;
/** `$JS.API.STREAM.LEADER.STEPDOWN.{stream}`: another server of a cluster is to lead it. */
export const stepDownSubject = (stream: string): string => `$JS.API.STREAM.LEADER.STEPDOWN.${stream}`;
/** `$JS.API.STREAM.RESTORE.{stream}`: the server takes a stream back. */
export const restoreSubject = (stream: string): string => `$JS.API.STREAM.RESTORE.${stream}`;

// Roles: what a credential of each may do. `{{name()}}` is filled in by the server with the credential's own name.

/** What a role may publish and subscribe to. */
export interface RoleSubjects {
  readonly publish: { readonly allow: readonly string[]; readonly deny?: readonly string[] };
  readonly subscribe: { readonly allow: readonly string[] };
}

const SELF = "{{name()}}";
/**
 * What people publish: subjects of four words, and of five where the last one is their own name. So a fifth word proves who
 * asks a node or the hub, and who speaks on the channels of people.
 */
const ASKED = [DISCOVER, subject("*", "*", "*"), subject("*", "*", "*", SELF)];
/** Facts have authors; nobody but the node itself may publish these. */
const REPORTS = [
  "up.>",
  "nodes.heartbeat.>",
  "nodes.heartbeat",
  "nodes.register.>",
  "results.>",
  "logs.>",
  "metrics.>",
  "alerts.>",
  "events.>",
  "hub.lease.>",
]
  .map((tail) => subject(tail));
const STREAMS_READ = [
  "XTASK_EVENTS",
  "XTASK_RESULTS",
  "XTASK_LOGS",
  "XTASK_ALERTS",
  "XTASK_METRICS",
  "XTASK_NOTES",
  "XTASK_HERE",
];
const BUCKETS_READ = ["KV_xtask_nodes", "KV_xtask_commands", "KV_xtask_alerts"];
/**
 * A server sends a direct get's answer, the stored bytes as they are, to whatever subject the asker names: a report's too. So
 * it is for what the hub or nodes alone write in a shape of their own, not for what people or programs say.
 */
const directGet = (stream: string): string[] => [`$JS.API.DIRECT.GET.${stream}`, `$JS.API.DIRECT.GET.${stream}.>`];
const readStream = (stream: string): string[] => [
  `$JS.API.STREAM.INFO.${stream}`,
  `$JS.API.STREAM.MSG.GET.${stream}`,
  `$JS.API.CONSUMER.CREATE.${stream}`,
  `$JS.API.CONSUMER.CREATE.${stream}.>`,
  `$JS.API.CONSUMER.DELETE.${stream}.>`,
  `$JS.API.CONSUMER.INFO.${stream}.>`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.>`,
  `$JS.ACK.${stream}.>`,
];

const NODE = {
  publish: {
    allow: [
      subject("up", SELF, ">"),
      subject("nodes", "heartbeat", SELF),
      subject("nodes", "register", SELF),
      leaseRenewSubject(SELF),
    ],
  },
  subscribe: {
    allow: [subject(SELF, ">"), BROADCASTS, DISCOVER, subject("nodes", SELF, "status"), "$SRV.>", `_INBOX_${SELF}.>`],
  },
} as const satisfies RoleSubjects;
/** Those who ask nodes under an inbox of their own: the hub, and the page. */
const ASKERS = ["hub", "page"];

/** The subjects of each role. */
export const ROLE_SUBJECTS = {
  /** Runs what the hub's owner may, and invites others. */
  admin: {
    publish: { allow: [...ASKED, "ai.>", "$SRV.>", "$JS.API.>", "$JS.ACK.>", "$JS.FC.>"], deny: REPORTS },
    subscribe: { allow: [subject(">"), "_INBOX.>", `_INBOX_${SELF}.>`] },
  },
  /** Runs commands anywhere and sees everything of its project. */
  operator: {
    publish: {
      allow: [
        ...ASKED,
        "ai.>",
        "$SRV.>",
        "$JS.API.INFO",
        "$JS.FC.>",
        ...[...STREAMS_READ, ...BUCKETS_READ].flatMap(readStream),
        ...["XTASK_METRICS", ...BUCKETS_READ].flatMap(directGet),
      ],
      deny: [...REPORTS, subject("hub", "auth", ">")],
    },
    subscribe: { allow: [subject(">"), "_INBOX.>", `_INBOX_${SELF}.>`] },
  },
  /** A machine: answers for itself and reports under its own name, nothing else. */
  node: NODE,
  /**
   * The link of a machine with a server of its own: what a node may, and to answer. The right to answer whoever asked does not
   * pass such a link, so it names the inboxes of those who ask; what is in them cannot be guessed (see connect.ts).
   */
  leaf: {
    publish: {
      allow: [
        ...NODE.publish.allow,
        subject("hub", "health", "check"),
        "_INBOX.>",
        ...ASKERS.map((name) => `_INBOX_${name}.>`),
      ],
    },
    subscribe: NODE.subscribe,
  },
  /** Somebody with a join token: may only hand it in. */
  join: {
    publish: { allow: [subject("hub", "auth", "join", SELF)] },
    subscribe: { allow: [`_INBOX_${SELF}.>`] },
  },
} as const satisfies Record<string, RoleSubjects>;

/** What a credential is for. */
export type Role = keyof typeof ROLE_SUBJECTS;

/** The inbox prefix of a credential: replies to it reach nobody else. */
export const inboxPrefix = (name: string): string => `_INBOX_${name}`;

// The NATS services protocol, which `nats micro ls` speaks.

/** `$SRV.{verb}` and its two narrower forms, all of which a service answers. */
export const serviceSubjects = (verb: "PING" | "INFO" | "STATS", name: string, id: string): string[] =>
  [[], [name], [name, id]].map((tail) => ["$SRV", verb, ...tail].join("."));

/** What a subject asks of a node. */
export interface NodeRequest {
  readonly capability: string;
  readonly verb: string;
  /** Whoever asks, where the subject proves it. */
  readonly author?: string;
}

/**
 * Reads `xtask.{node}.{capability}.{verb}` or `xtask.broadcast.{capability}.{verb}` back, with the asker's name behind it
 * or without.
 *
 * @returns undefined where the subject has another form
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { commandSubject, parseNodeSubject } from "./subjects.ts";
 *
 * assert.deepEqual(parseNodeSubject(commandSubject("mac-1", "task", "run")), { capability: "task", verb: "run" });
 * ```
 */
export function parseNodeSubject(text: string): NodeRequest | undefined {
  const [root, to, capability, verb, author, ...more] = text.split(".");
  if (root !== "xtask" || to === undefined || capability === undefined || verb === undefined || more.length > 0) {
    return undefined;
  }
  if (capability === "" || verb === "" || (to !== "broadcast" && !isId(to))) return undefined;
  if (author === undefined) return { capability, verb };
  return isId(author) ? { capability, verb, author } : undefined;
}

/** The last token of a subject: the node in `xtask.nodes.heartbeat.{node}`, the command in `xtask.results.{command}`. */
export function lastToken(text: string): string {
  return text.slice(text.lastIndexOf(".") + 1);
}

/**
 * Whether a subject is one of those that a pattern means.
 *
 * @example
 * ```ts
 * import assert from "node:assert/strict";
 * import { subjectMatcher } from "./subjects.ts";
 *
 * const meant = subjectMatcher("xtask.*.which.>");
 * assert.ok(meant("xtask.n1.which.check"));
 * assert.ok(!meant("xtask.n1.which"));
 * ```
 */
export function subjectMatcher(pattern: string): (subject: string) => boolean {
  if (!/[*>]/.test(pattern)) return (text) => text === pattern;
  const wanted = pattern.split(".");
  const open = wanted.at(-1) === ">";
  if (open) wanted.pop();
  return (text) => {
    const tokens = text.split(".");
    const fits = open ? tokens.length > wanted.length : tokens.length === wanted.length;
    return fits && wanted.every((token, at) => token === "*" || token === tokens[at]);
  };
}

// Streams: what each takes, and what the server derives from the one that nodes write to.

/** How a public stream derives from `XTASK_UP`, and where each of its messages is published again, live. */
export interface Derivation {
  readonly transforms: readonly { readonly src: string; readonly dest: string }[];
  readonly republish: { readonly src: string; readonly dest: string };
}

/**
 * The derivation of each public stream inside the account of a project.
 *
 * @param from `up` at the hub, `out` in a leaf node's own store
 */
export function derivations(
  project: string,
  from: "up" | "out" = "up",
): Readonly<Record<"results" | "logs" | "events" | "alerts" | "metrics", Derivation>> {
  const [first, second] = ["{{wildcard(1)}}", "{{wildcard(2)}}"];
  return {
    results: {
      transforms: [{ src: subject(from, "*", "results", "*"), dest: subject("results", second, first) }],
      republish: { src: subject("results", "*", "*"), dest: subject("results", first) },
    },
    logs: {
      transforms: [
        { src: subject(from, "*", "logs", "*"), dest: subject("logs", first, second) },
        { src: subject(from, "*", "log"), dest: subject("logs", first) },
      ],
      republish: { src: LOGS_ANY, dest: LOGS_ANY },
    },
    events: {
      transforms: [{ src: subject(from, "*", "events", "*"), dest: subject("events", project, second, first) }],
      republish: { src: subject("events", "*", "*", "*"), dest: subject("events", first, second) },
    },
    alerts: {
      transforms: [{ src: subject(from, "*", "alerts", "*"), dest: subject("alerts", second, first) }],
      republish: { src: subject("alerts", "*", "*"), dest: subject("alerts", first) },
    },
    metrics: {
      transforms: [{ src: subject(from, "*", "metrics"), dest: subject("metrics", first) }],
      republish: { src: subject("metrics", ">"), dest: subject("metrics", ">") },
    },
  };
}

/** As stored: `xtask.results.{command}.{node}`. */
export const storedResult = (command: string, node: string): string => subject("results", command, node);
/** As stored: `xtask.results.{command}.*`. */
export const storedResults = (command: string): string => subject("results", command, "*");
/** As stored: `xtask.events.{project}.*.*`. */
export const storedEvents = (project: string): string => subject("events", project, "*", "*");
