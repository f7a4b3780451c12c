/**
 * The door of a node: what arrives on its subjects becomes a command, an answer or a refusal. Everything from outside is
 * parsed here and trusted from here on.
 */
import * as v from "valibot";
import type { Capability, Verb } from "../capability/define.ts";
import type { Bus, Incoming, Subscription } from "../nats/bus.ts";
import { respondError } from "../nats/bus.ts";
import { type By, byOf } from "../protocol/by.ts";
import { XtaskError } from "../protocol/error.ts";
import { CommandId } from "../protocol/id.ts";
import { INPUT_BYTES_MAX, WAIT_MS_DEFAULT, WAIT_MS_MAX } from "../protocol/limits.ts";
import { Epoch, LeaseMs } from "../protocol/lease.ts";
import { LabelChanges, Labels, type NodeRecord } from "../protocol/node.ts";
import { parse, parseJson } from "../protocol/parse.ts";
import { type CancelReply, HEADER, type Ongoing, type Reply, RunQuery } from "../protocol/run.ts";
import { ScheduleInput, ScheduleQuery } from "../protocol/schedule.ts";
import { parseSelector } from "../protocol/selector.ts";
import {
  BROADCASTS,
  DISCOVER,
  logSubject,
  type NodeRequest,
  nodeSubjects,
  parseNodeSubject,
  resultSubject,
  statusSubject,
} from "../protocol/subjects.ts";
import type { Active, Command, Runs } from "./runs.ts";
import type { Schedules } from "./schedules/schedules.ts";

/** What the door needs. */
export interface DoorOptions {
  readonly bus: Bus;
  readonly node: string;
  /** The capabilities that this node offers. */
  readonly capabilities: ReadonlyMap<string, Capability>;
  readonly runs: Runs;
  readonly record: () => NodeRecord;
  /** Why no new commands are taken, or undefined. */
  readonly refusing: () => string | undefined;
  /** Changes of the node itself. */
  readonly control: {
    label(labels: Readonly<Record<string, string | null>>): Promise<void>;
    drain(): Promise<void>;
    resume(): Promise<void>;
  };
  readonly schedules: Pick<Schedules, "set" | "remove">;
  readonly now: () => number;
  readonly onRequest: (outcome: { subject: string; durationMs: number; error?: XtaskError }) => void;
}

/** An array is an object to a record's schema, and would pass for an empty input. */
const Body = v.pipe(
  v.unknown(),
  v.check((value) => !Array.isArray(value), "expected an object"),
  v.record(v.string(), v.unknown()),
);
const Discover = v.strictObject({ select: v.optional(v.string(), "all") });
const Empty = v.strictObject({});
const Deadline = v.pipe(v.string(), v.isoTimestamp("expected a time such as 2026-01-31T12:00:00Z"));
const WaitMs = v.pipe(
  v.string(),
  v.regex(/^\d{1,9}$/, "expected milliseconds"),
  v.transform(Number),
  v.maxValue(WAIT_MS_MAX, `expected at most ${WAIT_MS_MAX} ms; subscribe to the result to wait longer`),
);

const Keep = v.pipe(v.picklist(["true", "false"], "expected true or false"), v.transform((text) => text === "true"));

/** Opens the door: subscribes to all that the node is asked. */
export function openDoor(options: DoorOptions): Disposable {
  const { bus, node } = options;
  const subscriptions: Subscription[] = [
    bus.subscribe(nodeSubjects(node), (message) => answer(options, message, () => askedDirectly(options, message))),
    bus.subscribe(BROADCASTS, (message) => answer(options, message, () => askedByBroadcast(options, message))),
    bus.subscribe(DISCOVER, (message) => answer(options, message, () => discovered(options, message))),
    bus.subscribe(statusSubject(node), (message) => answer(options, message, () => Promise.resolve(options.record()))),
  ];
  return { [Symbol.dispose]: () => subscriptions.forEach((subscription) => subscription[Symbol.dispose]()) };
}

/** Answers with what `act` resolves to; undefined stays unanswered, an error becomes a refusal. */
async function answer(options: DoorOptions, message: Incoming, act: () => Promise<unknown>): Promise<void> {
  const begun = options.now();
  const subject = countedSubject(message.subject);
  try {
    const reply = await act();
    if (reply !== undefined) message.respond(JSON.stringify(reply));
    options.onRequest({ subject, durationMs: options.now() - begun });
  } catch (thrown) {
    const error = XtaskError.from(thrown);
    options.onRequest({ subject, durationMs: options.now() - begun, error });
    const id = message.header(HEADER.commandId);
    respondError(message, error, { ...(id === undefined ? {} : { id }), node: options.node, state: "refused" });
  }
}

/** Whoever asks: what is asked is one thing to those who count. */
function countedSubject(subject: string): string {
  const author = parseNodeSubject(subject)?.author;
  return author === undefined ? subject : subject.slice(0, -author.length - 1);
}

async function askedDirectly(options: DoorOptions, message: Incoming): Promise<unknown> {
  const asked = parseNodeSubject(message.subject);
  if (asked === undefined) {
    throw new XtaskError("not_found", `Nothing is asked by the subject ${message.subject}`, {
      details: ["expected xtask.{node}.{capability}.{verb}, or your own name behind it"],
    });
  }
  const body = bodyOf(message);
  if (asked.capability === "run") return await aboutRun(options, asked.verb, body);
  if (asked.capability === "node") return await aboutNode(options, asked.verb, body, byOf(asked.author, message));
  return await command(options, message, offered(options, asked.capability), asked, body);
}

function offered({ capabilities, node }: DoorOptions, name: string): Capability {
  const capability = capabilities.get(name);
  if (capability !== undefined) return capability;
  throw new XtaskError("not_found", `Node ${node} does not offer '${name}'`, {
    details: [`it offers ${[...capabilities.keys()].join(", ")}`],
  });
}

/** A node that a broadcast does not mean stays silent: the caller counts answers. */
async function askedByBroadcast(options: DoorOptions, message: Incoming): Promise<Reply | undefined> {
  const asked = parseNodeSubject(message.subject);
  const capability = asked === undefined ? undefined : options.capabilities.get(asked.capability);
  if (asked === undefined || capability === undefined) return undefined;
  const { select = "all", ...body } = bodyOf(message);
  if (!parseSelector(parse(v.string(), select, "selector"))(options.record())) return undefined;
  return await command(options, message, capability, asked, body);
}

// deno-lint-ignore require-await -- async so that a bad selector rejects like every other bad input
async function discovered(options: DoorOptions, message: Incoming): Promise<NodeRecord | undefined> {
  const { select } = parse(Discover, bodyOf(message), "input of discover");
  const record = options.record();
  return parseSelector(select)(record) ? record : undefined;
}

async function command(
  options: DoorOptions,
  message: Incoming,
  capability: Capability,
  { verb: token, author }: NodeRequest,
  body: Record<string, unknown>,
): Promise<Reply> {
  const [name, verb] = verbOf(capability, token);
  const refusing = options.refusing();
  if (refusing !== undefined) {
    throw new XtaskError("unavailable", `Node ${options.node} takes no commands: ${refusing}`, {
      details: [`ask another node, or: xtask nodes resume ${options.node}`],
    });
  }
  const withToken = verb.token === undefined ? body : { ...body, [verb.token]: Number(token) };
  const input = parse(verb.input, withToken, `input of ${capability.name}.${name}`);
  const id = message.header(HEADER.commandId);
  const deadline = message.header(HEADER.deadline);
  const waitMs = parse(WaitMs, message.header(HEADER.wait) ?? String(WAIT_MS_DEFAULT), `header ${HEADER.wait}`);
  const lease = leaseOf(message);
  if (lease !== undefined && verb.effect === "read") {
    throw new XtaskError("invalid", `${capability.name}.${name} only looks, and need not move: ask a node itself`);
  }
  const keep = message.header(HEADER.keep);
  if (lease !== undefined && keep !== undefined) {
    throw new XtaskError("invalid", "What may move must end where its agent does, so it cannot be kept");
  }
  const by = byOf(author, message);
  const taken = await options.runs.submit({
    ...(id === undefined ? {} : { id: parse(CommandId, id, `header ${HEADER.commandId}`) }),
    capability,
    verb: name,
    input,
    ...(by === undefined ? {} : { by }),
    ...(lease === undefined ? {} : { lease }),
    ...(keep === undefined ? {} : { keep: parse(Keep, keep, `header ${HEADER.keep}`) }),
    ...(deadline === undefined ? {} : { deadline: Date.parse(parse(Deadline, deadline, `header ${HEADER.deadline}`)) }),
  });
  return "finishedAt" in taken ? taken : await within(waitMs, taken, options.node);
}

/** The lease of a command that may move. Whoever says that there is one, the hub is asked before anything starts. */
function leaseOf(message: Incoming): Command["lease"] {
  const [attempt, lease] = [message.header(HEADER.attempt), message.header(HEADER.lease)];
  if (attempt === undefined && lease === undefined) return undefined;
  if (message.header(HEADER.commandId) === undefined) {
    throw new XtaskError("invalid", `A lease is that of a command: ${HEADER.commandId} is missing`);
  }
  return {
    epoch: parse(Epoch, Number(attempt), `header ${HEADER.attempt}`),
    leaseMs: parse(LeaseMs, Number(lease), `header ${HEADER.lease}`),
  };
}

/** The verb that a subject's last token means: by name, or the one verb whose input it is. */
function verbOf(capability: Capability, token: string): [string, Verb] {
  const entries = Object.entries(capability.verbs);
  const found = entries.find(([name]) => name === token) ??
    (/^\d{1,9}$/.test(token) ? entries.find(([, verb]) => verb.token !== undefined) : undefined);
  if (found !== undefined && (found[1].token === undefined) === (found[0] === token)) return found;
  throw new XtaskError("not_found", `${capability.name} has no verb '${token}'`, {
    details: [
      `it has ${entries.map(([name, verb]) => verb.token === undefined ? name : `{${verb.token}}`).join(", ")}`,
    ],
  });
}

async function within(waitMs: number, run: Active, node: string): Promise<Reply> {
  if (waitMs === 0) return ongoing(run, node);
  const { promise: late, resolve } = Promise.withResolvers<undefined>();
  const timer = setTimeout(resolve, waitMs, undefined);
  const result = await Promise.race([run.result, run.left, late]);
  clearTimeout(timer);
  return result ?? ongoing(run, node);
}

function ongoing(run: Active, node: string): Ongoing {
  run.follow();
  return { id: run.id, node, state: run.state, logs: logSubject(node, run.id), results: resultSubject(run.id) };
}

async function aboutRun({ runs, node }: DoorOptions, verb: string, body: unknown): Promise<CancelReply | Reply> {
  const { id } = parse(RunQuery, body, `input of run.${verb}`);
  if (verb === "cancel") return { id, outcome: await runs.cancel(id) };
  if (verb !== "status") {
    throw new XtaskError("not_found", `run has no verb '${verb}'`, { details: ["it has cancel, status"] });
  }
  const found = runs.status(id);
  return "finishedAt" in found ? found : ongoing(found, node);
}

async function aboutNode(
  options: DoorOptions,
  verb: string,
  body: unknown,
  by: By | undefined,
): Promise<NodeRecord> {
  const { control, schedules, record } = options;
  if (verb === "label") {
    const { labels } = parse(LabelChanges, body, "input of node.label");
    const set = Object.fromEntries(Object.entries(labels).filter(([, value]) => value !== null));
    parse(Labels, set, "input of node.label");
    await control.label(labels);
  } else if (verb === "drain" || verb === "resume") {
    parse(Empty, body, `input of node.${verb}`);
    await control[verb]();
  } else if (verb === "schedule") {
    await schedules.set(schedulable(options, parse(ScheduleInput, body, "input of node.schedule")), by);
  } else if (verb === "unschedule") {
    await schedules.remove(parse(ScheduleQuery, body, "input of node.unschedule").name);
  } else {
    throw new XtaskError("not_found", `node has no verb '${verb}'`, {
      details: ["it has label, drain, resume, schedule, unschedule"],
    });
  }
  return record();
}

/** Refused now, while somebody is there to be told, and not at night. */
function schedulable(options: DoorOptions, asked: ScheduleInput): ScheduleInput {
  const { name, verbs } = offered(options, asked.capability);
  const verb = Object.hasOwn(verbs, asked.verb) ? verbs[asked.verb] : undefined;
  if (verb === undefined) {
    throw new XtaskError("not_found", `${name} has no verb '${asked.verb}'`, {
      details: [`it has ${Object.keys(verbs).join(", ")}`],
    });
  }
  if (verb.effect === "read") {
    throw new XtaskError("invalid", `${name}.${asked.verb} only looks, and nobody would be there to see it`);
  }
  parse(verb.input, asked.input, `input of ${name}.${asked.verb}`);
  return asked;
}

/** An empty payload is an empty input: `nats req xtask.n1.task.list ''` */
function bodyOf(message: Incoming): Record<string, unknown> {
  if (message.data.length > INPUT_BYTES_MAX) {
    throw new XtaskError(
      "invalid",
      `The input has ${message.data.length} bytes; at most ${INPUT_BYTES_MAX} are taken`,
      {
        details: ["put large data into a file or repository that the node can fetch"],
      },
    );
  }
  return message.data.length === 0 ? {} : parseJson(Body, message.text(), "input");
}
