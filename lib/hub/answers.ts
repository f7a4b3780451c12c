/** What the hub is asked: the fleet, the commands, invitations. `xtask.hub.{noun}.{verb}` */
import * as v from "valibot";
import { checkProof, type Invitation, InviteRole, JoinRequest } from "../auth/invite.ts";
import type { ProjectKeys } from "../auth/keyring.ts";
import type { Bucket } from "../nats/bucket.ts";
import type { Bus, Incoming } from "../nats/bus.ts";
import { cancelOn } from "../nats/cancel.ts";
import { lastOf, STREAM } from "../nats/streams.ts";
import { type By, byOf } from "../protocol/by.ts";
import { XtaskError } from "../protocol/error.ts";
import type { Health, HubProcess } from "../protocol/health.ts";
import { CommandId, HUB_AUTHOR } from "../protocol/id.ts";
import { RenewInput } from "../protocol/lease.ts";
import { SubmitInput } from "../protocol/moving.ts";
import { LIST_BYTES_MAX } from "../protocol/limits.ts";
import { parseJson } from "../protocol/parse.ts";
import { QueueInput } from "../protocol/queue.ts";
import type { CommandRecord } from "../protocol/run.ts";
import { parseSelector } from "../protocol/selector.ts";
import { HUB_ANY, JOIN_ANY, lastToken, UP_EVENTS } from "../protocol/subjects.ts";
import { isTerminal, STATES } from "../protocol/state.ts";
import { timeOfUlid } from "../protocol/ulid.ts";
import { VERSION } from "../protocol/version.ts";
import type { Alarm } from "./alerts/alarm.ts";
import { ALERT_ANSWERS } from "./alerts/answers.ts";
import type { Commands } from "./commands.ts";
import type { Fleet, NodeView } from "./fleet.ts";
import type { Placements } from "./placement/placements.ts";
import type { Queue } from "./queue.ts";

/** What the answers come from. */
export interface AnswersOptions {
  readonly bus: Bus;
  readonly keys: ProjectKeys;
  readonly fleet: Fleet;
  readonly commands: Commands;
  readonly alarm: Alarm;
  readonly queue: Queue;
  readonly placements: Placements;
  readonly records: Bucket<CommandRecord>;
  readonly invites: Bucket<Invitation>;
  readonly invite: (role: InviteRole) => Promise<{ readonly token: string; readonly expiresAt: number }>;
  readonly address: string;
  /** Where leaf nodes connect; undefined where none can. */
  readonly leafPort: number | undefined;
  /** The process, where several take turns. */
  readonly about: HubProcess | undefined;
  readonly now: () => number;
}

const INVITATION_MS = 5_000;
const ById = v.strictObject({ id: CommandId });
/** Input of `command.list`. */
export const ListInput = v.strictObject({
  limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(500)), 50),
  node: v.optional(v.string()),
  state: v.optional(v.picklist(STATES)),
});
const NodesInput = v.strictObject({
  select: v.optional(v.string(), "all"),
  /** Those whose ids come behind it: what `next` said. */
  after: v.optional(v.string(), ""),
});
const InviteInput = v.strictObject({ role: v.optional(InviteRole, "node") });

type Answer = (text: string, options: AnswersOptions & { readonly by: By | undefined }) => Promise<unknown> | unknown;

/** By noun and verb: all that the hub answers, apart from joining. */
const ANSWERS: Readonly<Record<string, Answer>> = {
  ...ALERT_ANSWERS,
  "health.check": (_text, { now, about }): Health => ({
    version: VERSION,
    now: new Date(now()).toISOString(),
    ...(about === undefined ? {} : { leader: about }),
  }),
  "node.list": (text, { fleet }): { nodes: NodeView[]; next?: string } => {
    const { select, after } = parseJson(NodesInput, text, "input of node.list");
    const matches = parseSelector(select);
    const all = fleet.nodes.filter((node) => node.id > after && matches(node));
    const nodes = fitting(all);
    const last = nodes.at(-1)?.id;
    return { nodes, ...(nodes.length < all.length && last !== undefined ? { next: last } : {}) };
  },
  "command.list": (text, { commands }) => ({
    commands: fitting(commands.list(parseJson(ListInput, text, "input of command.list"))),
  }),
  "command.show": (text, options) => find(parseJson(ById, text, "input of command.show").id, options),
  "command.queue": (text, { queue, by }) => queue.add(parseJson(QueueInput, text, "input of command.queue"), by),
  "command.submit": (text, { placements, by }) =>
    placements.submit(parseJson(SubmitInput, text, "input of command.submit"), by),
  "lease.renew": (text, { placements, by }) => {
    // Whose leases they are is proven by the subject: people may not ask this, and a node with its own name alone.
    if (by?.proven !== true) throw new XtaskError("forbidden", "A node renews its own leases, under its own name");
    return placements.renew(by.user, parseJson(RenewInput, text, "input of lease.renew").runs);
  },
  "command.cancel": async (text, options) => {
    const { id } = parseJson(ById, text, "input of command.cancel");
    const placed = await options.placements.cancel(id);
    if (placed !== undefined) return { id, outcomes: placed };
    const { runs, move } = await find(id, options, { everywhere: true });
    // It has ended, or it would be placed somewhere; what is stale is nobody's wish any more.
    if (move !== undefined) return { id, outcomes: { [move.node ?? HUB_AUTHOR]: "already_done" } };
    const outcomes = await Promise.all(
      Object.entries(runs).map(async ([node, { state }]) => {
        const outcome = isTerminal(state)
          ? "already_done"
          : await options.queue.withdraw(id, node)
          ? "cancelled"
          : await cancelOn(options.bus, node, id);
        return [node, outcome] as const;
      }),
    );
    return { id, outcomes: Object.fromEntries(outcomes) };
  },
  "auth.invite": async (text, { invite, address }) => {
    const { role } = parseJson(InviteInput, text, "input of auth.invite");
    const { token, expiresAt } = await invite(role);
    const command = role === "node"
      ? `xtask agent --hub ${address} --join ${token}`
      : `xtask auth join --hub ${address} ${token}`;
    return { token, command, expiresAt: new Date(expiresAt).toISOString() };
  },
};

/** As many as one answer may have, but one at least. */
function fitting<T>(all: readonly T[]): T[] {
  let bytes = 0;
  const over = all.findIndex((one, at) => (bytes += JSON.stringify(one).length) > LIST_BYTES_MAX && at > 0);
  return over === -1 ? [...all] : all.slice(0, over);
}

/** Starts answering. */
export function answerHub(options: AnswersOptions): Disposable {
  const { bus } = options;
  const asked = bus.subscribe(HUB_ANY, async (message) => {
    const [, , noun, verb, author, ...more] = message.subject.split(".");
    if (noun === "auth" && verb === "join") return;
    const answer = more.length > 0 ? undefined : ANSWERS[`${noun}.${verb}`];
    if (answer === undefined) {
      throw new XtaskError("not_found", `The hub is not asked '${noun}.${verb}'`, {
        details: [`it answers ${Object.keys(ANSWERS).join(", ")}`],
      });
    }
    const reply = await answer(message.data.length === 0 ? "{}" : message.text(), {
      ...options,
      by: byOf(author, message),
    });
    if (message.reply !== undefined) message.respond(JSON.stringify(reply));
  });
  const joining = bus.subscribe(JOIN_ANY, (message) => join(message, options));
  return {
    [Symbol.dispose]: () => {
      asked[Symbol.dispose]();
      joining[Symbol.dispose]();
    },
  };
}

/** A node answers whoever asks it before its word of that is here. So what may have just been asked is waited for. */
const JUST_ASKED_MS = 60_000;
const HEARD_MS = 3_000;

/** @param everywhere Waits for what other nodes have told by now as well */
async function find(
  id: string,
  { bus, commands, records, now }: AnswersOptions,
  { everywhere = false } = {},
): Promise<CommandRecord> {
  const justAsked = Math.abs(now() - timeOfUlid(id)) < JUST_ASKED_MS;
  const late = AbortSignal.timeout(HEARD_MS);
  if (justAsked && everywhere) {
    const told = await lastOf(bus, STREAM.up, UP_EVENTS).catch(() => undefined);
    if (told !== undefined) await commands.caughtUpWith(told.sequence, late);
  }
  const record = commands.get(id) ?? await records.get(id) ??
    (justAsked ? await commands.heard(id, late) : undefined);
  if (record !== undefined) return record;
  throw new XtaskError("not_found", `The hub knows no command ${id}`, { details: ["see: xtask commands"] });
}

/** Hands out a credential for a key that stays where it was made. The subject names the invitation: the server saw to it. */
async function join(message: Incoming, { keys, invites, fleet, leafPort, now }: AnswersOptions): Promise<void> {
  const id = lastToken(message.subject);
  const request = parseJson(JoinRequest, message.text(), "join request");
  // Of the server that takes the writes: another one of a cluster may not have a new one yet.
  const { value: invitation } = await invites.revised(id, INVITATION_MS);
  if (invitation === undefined || invitation.expiresAt <= now()) {
    throw new XtaskError("unauthenticated", "This invitation is unknown or has expired", {
      details: ["ask for a new one: xtask auth invite"],
    });
  }
  checkProof(id, request);
  const holder = invitation.role === "node" ? fleet.get(request.name) : undefined;
  if (holder !== undefined && holder.state !== "offline") {
    throw new XtaskError("conflict", `A node called '${request.name}' is already there, on ${holder.hostname}`, {
      details: ["give this one another name with --name; the token can still be used"],
    });
  }
  const { name, publicKey, leaf = false } = request;
  if (leaf && invitation.role !== "node") {
    throw new XtaskError("invalid", `This token invites a person (${invitation.role})`, {
      details: ["use: xtask auth join; the token can still be used"],
    });
  }
  if (leaf && leafPort === undefined) {
    throw new XtaskError("invalid", "This hub has no port for nodes with a server of their own", {
      details: ["join with --client; the token can still be used"],
    });
  }
  // Before the token is used up: it may be refused for the name.
  const jwt = keys.issue({ role: leaf ? "leaf" : invitation.role, name, publicKey });
  try {
    await invites.create(`${id}.used`, invitation);
  } catch (error) {
    if (XtaskError.from(error).code !== "conflict") throw error;
    throw new XtaskError("unauthenticated", "This invitation has been used already", {
      details: ["ask for a new one: xtask auth invite"],
    });
  }
  message.respond(
    JSON.stringify({ jwt, project: keys.project, role: invitation.role, leafPort: leaf ? leafPort : undefined }),
  );
}
