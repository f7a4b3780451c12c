/**
 * How NATS bytes travel: on Deno's own TCP and TLS. The transport published for Node hangs on TLS under Deno, and the one
 * for Deno is not on npm.
 */
import { Buffer } from "node:buffer";
import {
  type ConnectionOptions,
  deadline,
  type Deferred,
  deferred,
  type Server,
  type Transport,
} from "@nats-io/nats-core/internal";
import { XtaskError } from "../protocol/error.ts";
import { type Link, openLink, release } from "./link.ts";

/** One read buffer for each connection: a larger one is resident memory of every idle connection. */
const READ_BYTES = 32 * 1024;
/** Reads up to this size are copied, so that the buffer serves again and no small message keeps a large one alive. */
const COPY_BYTES_MAX = READ_BYTES / 2;
/** What may wait for a slow link. Beyond it the link is given up, as a server does with a slow client. */
const UNSENT_BYTES_MAX = 64 * 1024 * 1024;
/** Closing waits this long for what is being sent. */
const FLUSH_MS = 1_000;

/** One connection to one server; nats-core makes a new one for every attempt. Its failures are {@linkcode XtaskError}s. */
export class DenoTransport implements Transport {
  readonly lang = "deno";
  readonly version: string = Deno.version.deno;
  closeError?: Error;

  #link: Link | undefined;
  #unsent: Uint8Array[] = [];
  #unsentBytes = 0;
  #writing: Promise<void> | undefined;
  readonly #ended = new AbortController();
  readonly #closed: Deferred<void | Error> = deferred();

  /** Whether the connection is over, or was given up before it began. */
  get isClosed(): boolean {
    return this.#ended.signal.aborted;
  }

  /** Whether TLS protects the connection. */
  isEncrypted(): boolean {
    return this.#link?.encrypted ?? false;
  }

  /** Opens the connection, up to where the client may speak. Rejects as soon as the transport is closed meanwhile. */
  async connect(server: Server, options: ConnectionOptions): Promise<void> {
    this.#link = await openLink(server, options.tls ?? undefined, this.#ended.signal);
  }

  /** Bytes as they come from the server, until the connection ends. */
  async *[Symbol.asyncIterator](): AsyncIterableIterator<Uint8Array> {
    if (this.#link === undefined) return;
    const { conn, greeting } = this.#link;
    let error: Error | undefined;
    try {
      yield greeting;
      let buffer = new Uint8Array(READ_BYTES);
      while (true) {
        const length = await conn.read(buffer);
        // What comes after the end was declared must not reach the client: its parser may serve the next transport already.
        if (length === null || this.isClosed) break;
        if (length <= COPY_BYTES_MAX) {
          yield buffer.slice(0, length);
        } else {
          yield buffer.subarray(0, length);
          buffer = new Uint8Array(READ_BYTES);
        }
      }
    } catch (cause) {
      error = lost(cause);
    } finally {
      this.#end(error);
    }
  }

  /** Sends a frame, at once where nothing is under way; what comes meanwhile goes as one write. The frame is not copied. */
  send(frame: Uint8Array): void {
    if (this.#link === undefined || this.isClosed) return;
    this.#unsent.push(frame);
    this.#unsentBytes += frame.length;
    if (this.#unsentBytes > UNSENT_BYTES_MAX) {
      this.#end(new XtaskError("exhausted", "The link to the server is too slow for what is sent over it"));
      return;
    }
    this.#writing ??= this.#write(this.#link.conn);
  }

  /** Ends the connection, after what is being sent has gone or a short while has passed. */
  async close(error?: Error): Promise<void> {
    // A peer that takes nothing any more must not hold up the end.
    if (this.#writing !== undefined && !this.isClosed) await deadline(this.#writing, FLUSH_MS).catch(() => undefined);
    this.#end(error);
  }

  /** Ends the connection at once; the client may then connect anew. */
  disconnect(): void {
    this.#end();
  }

  /** Ends the connection without a word to the client, which has turned away from it. */
  discard(): void {
    this.#ended.abort();
    if (this.#link !== undefined) release(this.#link.conn);
  }

  /** Resolves when an opened connection is over, with the reason if there is one. */
  closed(): Promise<void | Error> {
    return this.#closed;
  }

  async #write(conn: Deno.Conn): Promise<void> {
    try {
      while (this.#unsent.length > 0) {
        const bytes = this.#takeUnsent();
        let written = 0;
        while (written < bytes.length) written += await conn.write(bytes.subarray(written));
      }
    } catch {
      // The reader meets the same failure, after the last words of the server: often they say why it hung up.
      this.#dropUnsent();
    } finally {
      this.#writing = undefined;
    }
  }

  #takeUnsent(): Uint8Array {
    const frames = this.#unsent;
    this.#dropUnsent();
    const [only] = frames;
    return only !== undefined && frames.length === 1 ? only : Buffer.concat(frames);
  }

  #dropUnsent(): void {
    this.#unsent = [];
    this.#unsentBytes = 0;
  }

  #end(error?: Error): void {
    if (this.isClosed) return;
    if (error !== undefined) this.closeError = error;
    this.#dropUnsent();
    this.#ended.abort(error);
    if (this.#link === undefined) return;
    release(this.#link.conn);
    this.#closed.resolve(error);
  }
}

function lost(cause: unknown): XtaskError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new XtaskError("unavailable", `The connection to the server was lost: ${text}`, { cause });
}
