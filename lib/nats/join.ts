/** Handing in a token for a credential, by the one subject that the token may publish. */
import { formatCreds } from "../auth/creds.ts";
import { createJoinRequest, JoinReply, readToken } from "../auth/invite.ts";
import { XtaskError } from "../protocol/error.ts";
import { parseJson } from "../protocol/parse.ts";
import { inboxPrefix, joinSubject } from "../protocol/subjects.ts";
import { type Incoming, openBus } from "./bus.ts";

/** Options of {@linkcode join}. */
export interface JoinOptions {
  readonly servers: string;
  readonly token: string;
  /** The node or user id to be known by. */
  readonly name: string;
  /** Whether it is for the link of a leaf node. */
  readonly leaf?: boolean;
  /** In place of the one that the token names. */
  readonly tlsCa?: string;
}

/** A credential that was asked for with a token: the text of a creds file, whose key was made here. */
export interface Joined extends Omit<JoinReply, "jwt"> {
  readonly creds: string;
  /** PEM of the authorities that vouched for the hub, to be asked for from now on. */
  readonly ca?: string;
}

/**
 * Hands in a token for a credential.
 *
 * @throws {XtaskError} `unauthenticated` for a token that is used, expired or unknown, `conflict` for a name that is held
 */
export async function join(
  { servers, token, name, leaf = false, tlsCa }: JoinOptions,
  signal?: AbortSignal,
): Promise<Joined> {
  const read = readToken(token, Date.now());
  const { invitation, creds } = read;
  const ca = tlsCa ?? read.ca;
  await using bus = await openBus({
    servers,
    creds,
    name: "xtask join",
    inboxPrefix: inboxPrefix(invitation),
    reconnect: false,
    ...(ca === undefined ? {} : { tls: { ca } }),
    ...(signal === undefined ? {} : { signal }),
  });
  const { request, seed } = createJoinRequest(invitation, name, { leaf });
  let answer: Incoming;
  try {
    answer = await bus.request(joinSubject(invitation), JSON.stringify(request));
  } catch (thrown) {
    const error = XtaskError.from(thrown);
    // What a hub does not know it refuses, with the name of it.
    if (!leaf || error.code !== "invalid" || !error.details.some((detail) => detail.startsWith("leaf:"))) throw error;
    throw new XtaskError("invalid", "This hub is of an earlier version, which takes no leaf nodes", {
      details: ["join with --client; the token can still be used", "or bring the hub to this version first"],
      cause: error,
    });
  }
  const { jwt, ...about } = parseJson(JoinReply, answer.text(), "answer to the join request");
  return { ...about, creds: formatCreds(jwt, seed), ...(ca === undefined ? {} : { ca }) };
}
