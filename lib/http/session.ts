/**
 * Who may ask over HTTP: whoever has the bearer token, or a cookie that a one-time login link was exchanged for. What is
 * kept of either is a hash, so that neither a memory dump nor the file of sessions lets anybody in.
 */
import { Buffer } from "node:buffer";
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import * as v from "valibot";
import { writeSecretFile } from "../os/secret_file.ts";
import { LOGIN_LINK_MS, LOGIN_LINKS_MAX, SESSION_MS, SESSIONS_MAX } from "../protocol/limits.ts";
import { parseJson } from "../protocol/parse.ts";

/** Who asks. */
export interface Caller {
  readonly kind: "session" | "token";
  /** Tells callers apart; no secret. */
  readonly key: string;
  /** Fires when the caller may no longer ask: what it has open is closed then. */
  readonly signal: AbortSignal;
}

/** A secret that has been handed out. */
export interface Issued {
  readonly secret: string;
  /** Milliseconds since 1970. */
  readonly expiresAt: number;
}

/** Options of {@linkcode openSessions}. */
export interface SessionsOptions {
  /** The bearer token. */
  readonly token: string;
  /** Where sessions outlive the process. Without it they end with it. */
  readonly path?: string;
  readonly now?: () => number;
}

/** Everybody who may ask. Disposing it ends what they have open, not their sessions. */
export interface Sessions extends AsyncDisposable {
  /** A secret for one login. */
  invite(): Issued;
  /** Exchanges the secret of a login link for that of a session; undefined where it is unknown, used or expired. */
  login(secret: string): Promise<Issued | undefined>;
  ofCookie(secret: string): Caller | undefined;
  ofToken(secret: string): Caller | undefined;
  /** Ends a session, and what it has open. */
  logout(caller: Caller): Promise<void>;
}

const Kept = v.object({ sessions: v.array(v.object({ hash: v.string(), expiresAt: v.number() })) });

interface Session {
  readonly caller: Caller;
  readonly expiresAt: number;
  readonly ending: AbortController;
  readonly timer: ReturnType<typeof setTimeout>;
}

/** A secret that nobody guesses: 32 random bytes. */
export function newSecret(): string {
  return randomBytes(32).toString("base64url");
}

/**
 * Opens the sessions that are kept at `path`.
 *
 * @throws {XtaskError} `invalid` where the file is something else
 */
export async function openSessions({ token, path, now = Date.now }: SessionsOptions): Promise<Sessions> {
  const sessions = new Map<string, Session>();
  const links = new Map<string, number>();
  const closing = new AbortController();
  const bearer: Caller = { kind: "token", key: "token", signal: closing.signal };
  const bearerHash = hash(token);
  let written: Promise<void> = Promise.resolve();

  const end = (key: string) => {
    const session = sessions.get(key);
    if (session === undefined) return;
    sessions.delete(key);
    clearTimeout(session.timer);
    session.ending.abort();
  };
  const begin = (key: string, expiresAt: number) => {
    // The oldest goes: whoever it was can log in again.
    const [oldest] = sessions.keys();
    if (oldest !== undefined && sessions.size >= SESSIONS_MAX) end(oldest);
    const ending = new AbortController();
    const timer = setTimeout(() => end(key), expiresAt - now());
    Deno.unrefTimer(timer);
    const signal = AbortSignal.any([ending.signal, closing.signal]);
    sessions.set(key, { caller: { kind: "session", key, signal }, expiresAt, ending, timer });
  };
  const save = () => {
    if (path === undefined) return Promise.resolve();
    // One write after another, so that the last one written is the newest.
    const kept = [...sessions].map(([hash, { expiresAt }]) => ({ hash, expiresAt }));
    written = written.catch(() => {}).then(() => writeSecretFile(path, JSON.stringify({ sessions: kept })));
    return written;
  };
  for (const { hash, expiresAt } of await readKept(path)) if (expiresAt > now()) begin(hash, expiresAt);

  return {
    invite() {
      const [oldest] = links.keys();
      if (oldest !== undefined && links.size >= LOGIN_LINKS_MAX) links.delete(oldest);
      const secret = newSecret();
      const expiresAt = now() + LOGIN_LINK_MS;
      links.set(hash(secret), expiresAt);
      return { secret, expiresAt };
    },
    async login(secret) {
      const key = hash(secret);
      const expiresAt = links.get(key);
      links.delete(key);
      if (expiresAt === undefined || expiresAt <= now()) return undefined;
      const session: Issued = { secret: newSecret(), expiresAt: now() + SESSION_MS };
      begin(hash(session.secret), session.expiresAt);
      await save();
      return session;
    },
    ofCookie(secret) {
      // Looked up by its hash: how long that takes tells nothing of any secret.
      const session = sessions.get(hash(secret));
      return session === undefined || session.expiresAt <= now() ? undefined : session.caller;
    },
    ofToken: (secret) => timingSafeEqual(Buffer.from(hash(secret)), Buffer.from(bearerHash)) ? bearer : undefined,
    async logout({ key }) {
      end(key);
      await save();
    },
    async [Symbol.asyncDispose]() {
      closing.abort();
      for (const { timer } of sessions.values()) clearTimeout(timer);
      await written;
    },
  };
}

async function readKept(path: string | undefined): Promise<v.InferOutput<typeof Kept>["sessions"]> {
  if (path === undefined) return [];
  try {
    return parseJson(Kept, await Deno.readTextFile(path), `sessions ${path}`).sessions.slice(-SESSIONS_MAX);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function hash(secret: string): string {
  return createHash("sha256").update(secret).digest("base64url");
}
