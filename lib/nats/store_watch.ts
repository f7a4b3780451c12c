/**
 * Whether a server's store can be written. A stream of nats-server that failed to write once refuses all that comes, room or
 * not, until the server is started anew; and the server says so in its log alone.
 */
import { statfs } from "node:fs/promises";
import { pause } from "../os/pause.ts";

/** Options of {@linkcode watchStore}. */
export interface WatchStoreOptions {
  /** The server's log, which is its own since it started. */
  readonly log: string;
  /** Where its store is. */
  readonly store: string;
  /** Hears why the store cannot be written: once for each reason. */
  readonly onTrouble: (reason: string) => void;
}

const LOOK_MS = 1_000;
/** With less than this it would only fail again. */
const ROOM_BYTES = 4 * 1024 * 1024;

/** Resolves when the store has failed and there is room for it again, so that a new start will mend it; or with the signal. */
export async function watchStore(
  { log, store, onTrouble }: WatchStoreOptions,
  signal: AbortSignal,
): Promise<"failed" | undefined> {
  const read = reader(log);
  let trouble: string | undefined;
  while (!signal.aborted) {
    const found = storeTrouble(await read());
    const room = (found ?? trouble) === undefined || await roomIn(store);
    // The log is on the same disk, and may be cut in the middle of a line.
    const reason = found === CUT && !room ? "no space left on device" : found;
    if (reason !== undefined && reason !== trouble) onTrouble(reason);
    trouble = reason ?? trouble;
    if (trouble !== undefined && room) return "failed";
    await pause(LOOK_MS, signal);
  }
  return undefined;
}

/** Why a store cannot be written, by the newest line of a server's log that tells of it. */
export function storeTrouble(log: string): string | undefined {
  const line = log.split("\n").findLast((line) => TROUBLE.test(line));
  if (line === undefined) return undefined;
  // The system's own word stands last, behind the path of a file.
  return /: ([^:]+)$/.exec(line.trimEnd())?.[1] ?? CUT;
}

const CUT = "its log tells no reason";

const TROUBLE = /\[(?:ERR|FTL)\] .*(?:critical write error|JetStream failed to store a msg|JetStream out of)/i;

const CHUNK_BYTES = 256 * 1024;

/** What is new in a file, at most so much of it at each call. */
function reader(path: string): () => Promise<string> {
  let at = 0;
  return async () => {
    try {
      using file = await Deno.open(path);
      await file.seek(at, Deno.SeekMode.Start);
      const bytes = new Uint8Array(CHUNK_BYTES);
      const count = await file.read(bytes) ?? 0;
      at += count;
      return new TextDecoder().decode(bytes.subarray(0, count));
    } catch {
      // It is there again when the server is; until then there is nothing to read.
      return "";
    }
  };
}

async function roomIn(path: string): Promise<boolean> {
  try {
    const { bsize, bavail } = await statfs(path);
    return bsize * bavail >= ROOM_BYTES;
  } catch {
    // A disk that is gone has no room.
    return false;
  }
}
