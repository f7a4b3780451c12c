/** Opening a connection to a NATS server up to where the client may speak: TCP, the server's greeting, TLS. */
import { Buffer } from "node:buffer";
import { extractProtocolMessage, type Server } from "@nats-io/nats-core/internal";
import * as v from "valibot";
import { XtaskError } from "../protocol/error.ts";
import { parseJson } from "../protocol/parse.ts";

/** TLS beyond what the address says. Giving any of it demands TLS. */
export interface TlsOptions {
  /** PEM of a certificate authority to trust beside the system's. */
  readonly ca?: string;
  /** The name that the server's certificate was made out to, where it is not the address's. */
  readonly name?: string;
  /** PEM of this client's certificate, for servers that ask for one. Needs `key` and `handshakeFirst`. */
  readonly cert?: string;
  /** PEM of the certificate's key. */
  readonly key?: string;
  /** TLS from the first byte, for servers with `handshake_first`. @default {false} */
  readonly handshakeFirst?: boolean;
}

/** An open connection on which the server has spoken. */
export interface Link {
  readonly conn: Deno.TcpConn | Deno.TlsConn;
  readonly encrypted: boolean;
  /** The server's greeting, not yet shown to the client, with whatever came behind it. */
  readonly greeting: Uint8Array;
}

const READ_BYTES = 16 * 1024;
/** The greeting is one line; a cluster's list of addresses fits many times over. */
const GREETING_BYTES_MAX = 256 * 1024;

const Greeting = v.object({ tls_required: v.optional(v.boolean()), tls_available: v.optional(v.boolean()) });

/**
 * Opens a link. TLS is used where it is asked for (`tls` is given) and where the server offers it.
 *
 * @throws {XtaskError} `unavailable`; when the signal aborts, its reason, at once
 */
export async function openLink(server: Server, tls: TlsOptions | undefined, signal: AbortSignal): Promise<Link> {
  signal.throwIfAborted();
  const opened: Opened = {};
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  try {
    return await Promise.race([open(server, tls, signal, opened), aborted.promise]);
  } catch (error) {
    if (opened.conn !== undefined) release(opened.conn);
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

/** Closes what may be closed already, by the peer's failure or because TLS took it over. */
export function release(conn: Deno.Conn): void {
  try {
    conn.close();
  } catch (error) {
    if (!(error instanceof Deno.errors.BadResource)) throw error;
  }
}

/** The connection as far as it has come, for whoever has to close it. */
interface Opened {
  conn?: Deno.TcpConn | Deno.TlsConn;
}

async function open(server: Server, tls: TlsOptions | undefined, signal: AbortSignal, opened: Opened): Promise<Link> {
  const { listen: at, hostname, port, tlsName } = server;
  const adopt = <C extends Deno.TcpConn | Deno.TlsConn>(conn: C): C => {
    opened.conn = conn;
    if (signal.aborted) release(conn);
    signal.throwIfAborted();
    return conn;
  };
  const name = tls?.name ?? (tlsName || hostname);
  const { ca, cert, key, handshakeFirst = false } = tls ?? {};
  const trust = ca === undefined ? {} : { caCerts: [ca] };

  if (cert !== undefined && key !== undefined) {
    // Deno takes a client's certificate only where it makes the TCP connection as well.
    const opening = Deno.connectTls({ hostname: name, port, cert, key, ...trust });
    const conn = adopt(await or(opening, (cause) => tlsOrTcpFailure(at, cause)));
    await or(conn.handshake(), (cause) => insecure(at, cause));
    const { bytes } = await greet(conn, at);
    return { conn, encrypted: true, greeting: bytes };
  }

  const tcp = adopt(await or(Deno.connect({ hostname, port, signal }), (cause) => unanswered(at, cause)));
  tcp.setNoDelay(true);
  const secure = async () => {
    const conn = adopt(await Deno.startTls(tcp, { hostname: name, ...trust }));
    await or(conn.handshake(), (cause) => insecure(at, cause));
    return conn;
  };
  if (handshakeFirst) {
    const conn = await secure();
    const { bytes } = await greet(conn, at);
    return { conn, encrypted: true, greeting: bytes };
  }
  const { bytes, line, offersTls } = await greet(tcp, at);
  // What came behind the greeting before TLS could be anybody's, and is not kept.
  if (offersTls) return { conn: await secure(), encrypted: true, greeting: line };
  if (tls === undefined) return { conn: tcp, encrypted: false, greeting: bytes };
  throw new XtaskError("unavailable", `The server at ${at} offers no TLS`, {
    details: ["use a nats:// address if the way to it is safe without"],
  });
}

/** Reads the server's first line. */
async function greet(conn: Deno.Conn, at: string) {
  const buffer = new Uint8Array(READ_BYTES);
  let bytes: Uint8Array = new Uint8Array();
  while (bytes.length < GREETING_BYTES_MAX) {
    const length = await or(conn.read(buffer), (cause) => hungUp(at, cause));
    if (length === null) throw hungUp(at, undefined);
    bytes = Buffer.concat([bytes, buffer.subarray(0, length)]);
    const text = extractProtocolMessage(bytes);
    if (text === "") continue;
    if (!text.startsWith("INFO ")) break;
    const { tls_required: required = false, tls_available: available = false } = parseJson(
      Greeting,
      text.slice("INFO ".length),
      `greeting of the server at ${at}`,
    );
    return { bytes, line: new TextEncoder().encode(text), offersTls: required || available };
  }
  throw new XtaskError("unavailable", `What answers at ${at} is no NATS server`);
}

async function or<T>(promise: Promise<T>, error: (cause: unknown) => XtaskError): Promise<T> {
  try {
    return await promise;
  } catch (cause) {
    throw error(cause);
  }
}

function unanswered(at: string, cause: unknown): XtaskError {
  return new XtaskError("unavailable", `No NATS server answers at ${at}; is the hub up?`, {
    details: [reason(cause)],
    cause,
  });
}

function insecure(at: string, cause: unknown): XtaskError {
  return new XtaskError("unavailable", `Cannot make a TLS connection to ${at}: ${reason(cause)}`, { cause });
}

function tlsOrTcpFailure(at: string, cause: unknown): XtaskError {
  return cause instanceof Deno.errors.InvalidData ? insecure(at, cause) : unanswered(at, cause);
}

function hungUp(at: string, cause: unknown): XtaskError {
  return new XtaskError("unavailable", `The server at ${at} hung up before it spoke NATS`, {
    details: [
      ...(cause === undefined ? [] : [reason(cause)]),
      "a server that wants TLS first, or a client certificate, does so",
    ],
    cause,
  });
}

function reason(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
