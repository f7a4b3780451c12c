/** How full the disk is that folders are on. */
import { statfs } from "node:fs/promises";
import { pause } from "./pause.ts";

/** A disk. */
export interface Disk {
  readonly usedBytes: number;
  /** What a user who is not root may still write. */
  readonly freeBytes: number;
}

/** A network file system that hangs must not hold up the rest. */
const DISK_MS = 1_000;

/**
 * Looks at the disk with the least room of those that folders are on; undefined where that cannot be told. There is one look at
 * a time: one that hangs costs a thread, and no more than one.
 */
export function diskOf(folders: readonly string[]): (signal: AbortSignal) => Promise<Disk | undefined> {
  let known: Disk | undefined;
  let looking = false;
  const look = async () => {
    looking = true;
    try {
      const disks = await Promise.all(folders.map(async (folder) => {
        const { bsize, blocks, bfree, bavail } = await statfs(folder);
        return { usedBytes: (blocks - bfree) * bsize, freeBytes: bavail * bsize };
      }));
      known = disks.sort((a, b) => a.freeBytes - b.freeBytes)[0];
    } catch {
      // A folder that is gone, or a system that does not tell.
      known = undefined;
    } finally {
      looking = false;
    }
  };
  return async (signal) => {
    if (!looking) {
      const waited = new AbortController();
      await Promise.race([look(), pause(DISK_MS, AbortSignal.any([signal, waited.signal]))]);
      waited.abort();
    }
    return looking ? undefined : known;
  };
}
