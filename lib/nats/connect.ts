/** Connecting to NATS: one function, one kind of connection, errors in xtask's words. */
import { Buffer } from "node:buffer";
import {
  type Authenticator,
  type AuthorizationError,
  type ConnectionOptions,
  errors,
  type NatsConnection,
  NatsConnectionImpl,
  nuid,
  ProtocolHandler,
  type Publisher,
  type Server,
  setTransportFactory,
  type UserAuthenticationExpiredError,
} from "@nats-io/nats-core/internal";
import { decodeJwt } from "../auth/jwt.ts";
import { type Creds, parseCreds } from "../auth/creds.ts";
import { nkeyFromSeed } from "../auth/nkey.ts";
import { XtaskError } from "../protocol/error.ts";
import { isId } from "../protocol/id.ts";
import { parseAddresses } from "./address.ts";
import { askingAgain } from "./ask_again.ts";
import { natsError } from "./error.ts";
import type { TlsOptions } from "./link.ts";
import { DenoTransport } from "./transport.ts";

export { natsError } from "./error.ts";
export type { TlsOptions } from "./link.ts";
export type { NatsConnection };

/** How {@linkcode connect} connects. */
export interface ConnectOptions {
  /** `nats://host:port`, or `tls://host:port` to insist on TLS; several of one cluster, or separated by commas. */
  readonly servers: string | readonly string[];
  /** Text of a credentials file. */
  readonly creds?: string;
  /** Shown in the server's list of connections. */
  readonly name?: string;
  /** Begins the subjects on which answers come. Credentials may allow one only. @default {"_INBOX"} */
  readonly inboxPrefix?: string;
  readonly tls?: TlsOptions;
  /** Whether a lost connection is made again, for ever. @default {true} */
  readonly reconnect?: boolean;
  /** Time for one attempt at one server. @default {5000} */
  readonly timeoutMs?: number;
  /** Whether to keep trying until a server answers; refused credentials end it still. @default {false} */
  readonly waitOnFirstConnect?: boolean;
  /** Gives up connecting. Without effect on the connection once there is one. */
  readonly signal?: AbortSignal;
  /** Asked at each publish, request and answer, and at each dialling: while it says no nothing is sent. */
  readonly maySend?: () => boolean;
}

/** Two pings unanswered and the link is dead: known after a minute at most. */
const PING_INTERVAL_MS = 20_000;
/** Between attempts at one server 0.5 to 2.5 s pass, so that a hub's return is not met by all its clients at once. */
const RECONNECT_WAIT_MS = 500;
const RECONNECT_JITTER_MS = 2_000;

/**
 * Connects to NATS.
 *
 * The connection ends for good (its `closed()` resolves) when it is closed, or when the server has refused the credentials
 * twice in a row: they were revoked or have expired.
 *
 * @throws {XtaskError} `unavailable` if no server answers or TLS fails, `unauthenticated` if the credentials are refused,
 * `timeout`, `cancelled`, `invalid` for options that cannot work
 */
export async function connect(options: ConnectOptions): Promise<NatsConnection> {
  const { signal, creds } = options;
  const parsed = creds === undefined ? undefined : parseCreds(creds);
  const settings = connectionOptions(options, parsed);
  if (signal?.aborted) throw cancelled(signal);

  setTransportFactory({ factory: () => new DenoTransport() });
  // NatsConnectionImpl.connect() does the same, but gives nothing back to cancel it by. The constructor is marked private.
  const connection: Unconnected = Reflect.construct(NatsConnectionImpl, [settings]);
  const dialer = new Dialer(connection.options, connection);
  if (options.maySend !== undefined) dialer.maySend = options.maySend;
  connection.protocol = dialer;
  connection.request = askingAgain(connection.request.bind(connection));

  let closing: Promise<void> | undefined;
  const abort = () => {
    closing = dialer.close();
  };
  signal?.addEventListener("abort", abort, { once: true });
  try {
    await dialer.dialLoop();
  } catch (error) {
    if (!signal?.aborted) throw connectError(error, settings.servers, parsed);
  } finally {
    signal?.removeEventListener("abort", abort);
    await closing;
  }
  if (signal?.aborted) {
    await dialer.close();
    throw cancelled(signal);
  }
  return connection;
}

/** What nats-core's connection is before it is connected. */
interface Unconnected extends NatsConnection {
  readonly options: ConnectionOptions;
  protocol: ProtocolHandler;
}

/** A request under way, as nats-core has it. */
type Asked = Parameters<ProtocolHandler["request"]>[0];

/** nats-core's protocol, with the gaps in its dialling closed. */
class Dialer extends ProtocolHandler {
  #dialling: Promise<void> | undefined;
  #refusal: Error | undefined;
  #mux: unknown;
  maySend: () => boolean = () => true;

  constructor(options: ConnectionOptions, publisher: Publisher) {
    super(options, publisher);
    const { reconnectDelayHandler: pauseMs = () => RECONNECT_WAIT_MS } = options;
    // It waits by the wall clock: where that was set back, as on a machine that starts with a wrong one, until it is as late again.
    options.reconnectDelayHandler = () => {
      for (const server of this.servers.getServers()) {
        if (server.lastConnect > Date.now()) server.lastConnect = 0;
      }
      return pauseMs();
    };
  }

  /**
   * An answer is known by its subject alone, and whoever answers has seen one of ours. So the next one must not be guessable:
   * nats-core takes it from Math.random, which a few of its numbers give away, and ids of inboxes from a counter.
   */
  override request(asked: Asked): Asked {
    asked.token = crypto.randomUUID();
    const made = super.request(asked);
    if (this.subscriptions.getMux() !== this.#mux) nuid.reset();
    this.#mux = this.subscriptions.getMux();
    return made;
  }

  override handleAuthError(refusal: AuthorizationError | UserAuthenticationExpiredError): void {
    this.#refusal = refusal;
    super.handleAuthError(refusal);
  }

  /** Where a refusal comes together with the success of dialling, nats-core forgets why it gave up. */
  override close(reason?: Error): Promise<void> {
    return super.close(this.abortReconnect ? this.#refusal : reason);
  }

  override dialLoop(): Promise<void> {
    this.#dialling ??= this.dodialLoop().finally(() => {
      this.#dialling = undefined;
    });
    return this.#dialling;
  }

  /** Dropped, not thrown: the library publishes in timers of its own, where nobody would catch it. Our callers are told by the bus. */
  override publish(...message: Parameters<ProtocolHandler["publish"]>): void {
    if (this.maySend()) super.publish(...message);
  }

  override async dial(server: Server): Promise<void> {
    // What is published while it dials goes out once it is through.
    if (this.isClosed() || !this.maySend()) throw new errors.ClosedConnectionError();
    const dialled = super.dial(server);
    const { transport } = this;
    // A server that hangs up before it has accepted the client would otherwise be waited for until the timeout.
    transport.closed().then((reason) => {
      if (this.transport !== transport) return;
      this.connectError?.(reason instanceof Error ? reason : new errors.ConnectionError("the server hung up"));
    });
    await dialled;
  }

  /**
   * Called when a transport has ended. While dialling that is a failed attempt, and the loop goes on by itself; but a link
   * may also be lost in the moment between its success and the end of the loop, and then somebody has to dial again.
   */
  override async disconnected(reason?: Error): Promise<void> {
    if (this.#dialling !== undefined) {
      // Whoever began the loop learns of its failure.
      await this.#dialling.catch(() => undefined);
      if (!this.connectedOnce || !this.transport.isClosed || this.isClosed()) return;
      this.connected = false;
    }
    await super.disconnected(reason);
  }
}

function connectionOptions(options: ConnectOptions, creds: Creds | undefined): ConnectionOptions {
  const { name, inboxPrefix, tls, reconnect = true, timeoutMs = 5_000, waitOnFirstConnect = false } = options;
  const { servers, tls: tlsDemanded, user, pass } = parseAddresses(options.servers);
  if ((tls?.cert === undefined) !== (tls?.key === undefined)) {
    throw new XtaskError("invalid", "A client certificate and its key must be given together");
  }
  if (tls?.cert !== undefined && tls.handshakeFirst !== true) {
    throw new XtaskError("invalid", "A client certificate can only be used where TLS comes first", {
      details: ["set handshake_first in the server's tls block, and handshakeFirst here"],
    });
  }
  return {
    servers: [...servers],
    reconnect,
    waitOnFirstConnect,
    timeout: timeoutMs,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_WAIT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    reconnectJitterTLS: RECONNECT_JITTER_MS,
    pingInterval: PING_INTERVAL_MS,
    // Traces cost a stack for each request, and errors are put into xtask's words anyhow.
    noAsyncTraces: true,
    ...(name === undefined ? {} : { name }),
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
    ...(tls !== undefined || tlsDemanded ? { tls: { ...tls } } : {}),
    ...(creds === undefined ? {} : { authenticator: authenticator(creds) }),
    ...(user === undefined ? {} : { user }),
    ...(pass === undefined ? {} : { pass }),
  };
}

/** Proves possession of the seed. nats-core's own authenticator signs in JavaScript, some hundred times slower. */
function authenticator({ jwt, seed }: Creds): Authenticator {
  const { publicKey, sign } = nkeyFromSeed(seed);
  return (nonce = "") => {
    const sig = Buffer.from(sign(Buffer.from(nonce))).toString("base64url");
    return { jwt, nkey: publicKey, sig };
  };
}

function connectError(error: unknown, servers: ConnectionOptions["servers"], creds: Creds | undefined): XtaskError {
  const at = [servers].flat().join(", ");
  const converted = natsError(error);
  if (converted.code === "timeout") {
    return new XtaskError("timeout", `The NATS server at ${at} did not answer in time`, { cause: error });
  }
  if (converted.code !== "unauthenticated") return converted;
  if (creds === undefined) {
    return new XtaskError("unauthenticated", `The NATS server at ${at} asks for credentials`, {
      details: ["give a .creds file, or user and password in the address"],
      cause: error,
    });
  }
  const ended = expiry(creds.jwt);
  return new XtaskError("unauthenticated", `The NATS server at ${at} refused the credentials`, {
    details: [ended === undefined ? `it said: ${converted.message}` : `they expired at ${ended}`],
    cause: error,
  });
}

/** Whom a hub made a credential out to; undefined for one of another make, whose rights are not known. */
export function userOf(creds: string): string | undefined {
  try {
    const { name, nats } = decodeJwt(parseCreds(creds).jwt);
    // A scoped key made it: then the server fills the name into its rights.
    return nats.type === "user" && nats.issuer_account !== undefined && isId(name) ? name : undefined;
  } catch (error) {
    if (error instanceof XtaskError) return undefined;
    throw error;
  }
}

/** When a JWT's time ran out, as RFC 3339; undefined where it has not. */
function expiry(jwt: string): string | undefined {
  try {
    const { exp } = decodeJwt(jwt);
    return exp !== undefined && exp * 1000 <= Date.now() ? new Date(exp * 1000).toISOString() : undefined;
  } catch {
    // The server's refusal is what the caller learns of; why it judged so is not to be known here.
    return undefined;
  }
}

function cancelled(signal: AbortSignal): XtaskError {
  return new XtaskError("cancelled", "Connecting was cancelled", { cause: signal.reason });
}
