/** What the NATS client throws, in xtask's words. */
import { errors } from "@nats-io/nats-core/internal";
import { type ErrorCode, XtaskError } from "../protocol/error.ts";

/**
 * Converts whatever a publish, request or subscription threw. What is no error of NATS becomes what
 * {@linkcode XtaskError.from} makes of it.
 */
export function natsError(thrown: unknown): XtaskError {
  if (thrown instanceof XtaskError) return thrown;
  // A request wraps the reason; the wrapper alone tells how the connection ended.
  const error = thrown instanceof errors.RequestError && thrown.cause instanceof Error ? thrown.cause : thrown;
  if (error instanceof XtaskError) return error;
  const cause = thrown;
  if (error instanceof errors.NoRespondersError) {
    return new XtaskError("unavailable", `Nobody answers on ${error.subject}`, { cause });
  }
  if (error instanceof errors.TimeoutError) {
    return new XtaskError("timeout", "No answer came in the time allowed", { cause });
  }
  if (error instanceof errors.PermissionViolationError) {
    const deed = error.operation === "subscription" ? "subscribe to" : "publish to";
    return new XtaskError("forbidden", `These credentials may not ${deed} ${error.subject}`, { cause });
  }
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
    return new XtaskError("unauthenticated", `The server refused the credentials: ${error.message}`, { cause });
  }
  if (
    error instanceof errors.ClosedConnectionError || error instanceof errors.DrainingConnectionError ||
    error instanceof errors.ConnectionError || error instanceof errors.RequestError
  ) {
    return new XtaskError("unavailable", `The connection to the server is over: ${error.message}`, { cause });
  }
  if (
    error instanceof errors.InvalidArgumentError || error instanceof errors.InvalidSubjectError ||
    error instanceof errors.InvalidOperationError ||
    (error instanceof errors.ProtocolError && /maximum payload violation/i.test(error.message))
  ) {
    return new XtaskError("invalid", `The message cannot be sent: ${error.message}`, { cause });
  }
  return jetStreamError(error) ?? XtaskError.from(error);
}

/** Whether a request that failed so was surely not taken: nobody was there, or whoever was there refused it. */
export function wasNotTaken({ cause }: XtaskError): boolean {
  const reason = cause instanceof errors.RequestError ? cause.cause : cause;
  // What an answer says has no cause on this side.
  return cause === undefined || reason instanceof errors.NoRespondersError ||
    cause instanceof errors.RequestError && cause.isNoResponders();
}

/** JetStream's errors carry codes; their classes are not looked at, so that a connection alone need not load JetStream. */
function jetStreamError(error: unknown): XtaskError | undefined {
  if (!(error instanceof Error) || !/^(JetStream|Stream|Consumer)/.test(error.name)) return undefined;
  const status = "status" in error ? error.status : undefined;
  const code = "code" in error ? error.code : undefined;
  const about = (kind: ErrorCode, ...details: string[]) =>
    new XtaskError(kind, `JetStream: ${error.message}`, { details, cause: error });
  if (code === WRONG_LAST_SEQUENCE) return about("conflict");
  if (NO_ROOM.includes(code as number) || /maximum (bytes|messages) exceeded/.test(error.message)) {
    return about("exhausted", "give it more: max_file_store of the servers, or the limits of the account");
  }
  if (NO_PEERS.includes(code as number)) {
    return about("unavailable", "it takes as many servers with JetStream in one cluster as there are to be copies");
  }
  if (NO_JETSTREAM.includes(code as number)) return about("unavailable", ENABLE);
  // The library takes it for that where nobody answers, as well.
  if (error.name === "JetStreamNotEnabled") {
    return new XtaskError("unavailable", "JetStream does not answer just now", {
      details: ["servers of a cluster choose another leader within moments", `where it lasts: ${ENABLE}`],
      cause: error,
    });
  }
  if (error.name.endsWith("NotFoundError") || status === 404 || code === 404) return about("not_found");
  if (status === 503 || code === 503) return about("unavailable");
  return undefined;
}

/** The server's code for a write that expected another state of the stream. */
const WRONG_LAST_SEQUENCE = 10071;
/** Those for too little room: for all accounts on file, in memory, and for one account. */
const NO_ROOM = [10047, 10028, 10002];
/** Those for more copies than there are servers: without a cluster, and in one. */
const NO_PEERS = [10074, 10005];
/** Those for no JetStream: of the server, and of the account. */
const NO_JETSTREAM = [10076, 10039];
const ENABLE = "enable JetStream in the server's configuration, and for the account";
