/**
 * Ends what a run started: its process groups, and what left them. A program that calls `setsid` leaves its group and is
 * adopted by pid 1, but it keeps the environment it was given, so every process of a run carries the run's mark in it.
 * A process that wipes its own environment and leaves its group as well is beyond what can be found without privileges.
 * Where the system does not tell environments ({@linkcode findsStrays}) the groups alone are ended.
 */
import { pause } from "./pause.ts";
import { ps } from "./ps.ts";

/** The environment variable that marks every process of a run. */
export const MARK = "XTASK_RUN";

/** The mark of a run. It names the node too: two agents of one machine may run the same command. */
export function markOf(node: string, command: string): string {
  return `${node}.${command}`;
}

/** Whose processes are meant. */
export interface Owned {
  /** Leaders of the process groups that were started. */
  readonly groups: readonly number[];
  /** The mark that they carry. Without it only the groups are looked at. */
  readonly mark?: string;
}

/** How {@linkcode endProcesses} ends them. */
export interface EndOptions {
  /** Between SIGTERM and SIGKILL. @default {5000} */
  readonly graceMs?: number;
}

/** Ends every process of a run; see {@linkcode endProcesses}. */
export type EndProcesses = (owned: Owned, options?: EndOptions) => Promise<number[]>;

/** Between two looks at whether they are gone. */
const POLL_MS = 20;
/** Looks at a process without an environment before it is taken for one that has none. */
const LOOKS = 10;
/** Listings of all processes in one look, each for those that are new since. */
const LISTINGS_MAX = 100;
/** SIGKILL cannot be refused; a process in an uninterruptible wait can still take its time, and is then given up. */
const KILL_WAIT_MS = 2_000;

/**
 * Ends every process of a run: SIGTERM, a grace, SIGKILL.
 *
 * @returns The processes that are still there after all that; empty but for a process stuck in the kernel
 */
export async function endProcesses(owned: Owned, { graceMs = 5_000 }: EndOptions = {}): Promise<number[]> {
  if (Deno.build.os === "windows") return await endTree(owned);
  let alive = await search(owned);
  const asked = new Set<number>();
  for (
    const { signal, forMs } of [{ signal: "SIGTERM", forMs: graceMs }, {
      signal: "SIGKILL",
      forMs: KILL_WAIT_MS,
    }] as const
  ) {
    const until = performance.now() + forMs;
    while (alive.length > 0) {
      // Each round looks for processes that were forked meanwhile. SIGTERM comes once: some take a second for "at once".
      for (const pid of alive) {
        if (signal === "SIGTERM" && asked.has(pid)) continue;
        asked.add(pid);
        sendSignal(pid, signal);
      }
      await pause(POLL_MS);
      alive = await search(owned);
      if (performance.now() > until) break;
    }
  }
  return alive;
}

/**
 * The living processes of a run. Zombies are dead: only their parent can bury them. A negative number is a whole group, where
 * its processes cannot be told.
 */
export async function survivors(owned: Owned): Promise<number[]> {
  return (await look(owned)).alive;
}

/** What one look at all processes shows. */
interface Seen {
  readonly alive: number[];
  /** Those that do not show all of an environment, as it is for a moment where one becomes another program: number and start. */
  readonly bare: readonly string[];
}

/** Those of which it was so in all of so many looks: they have none. */
let knownBare: readonly string[] = [];

/** The living processes of a run; none only where each process has shown its environment, or has none. */
async function search(owned: Owned): Promise<number[]> {
  for (let looks = 1;; looks++) {
    const { alive, bare } = await look(owned);
    if (alive.length > 0 || bare.every((one) => knownBare.includes(one))) return alive;
    if (looks === LOOKS) {
      knownBare = bare;
      return alive;
    }
    await pause(POLL_MS);
  }
}

async function look({ groups, mark }: Owned): Promise<Seen> {
  const groupsLeft = groups.filter((group) => sendSignal(-group, 0));
  if (groupsLeft.length === 0 && mark === undefined) return { alive: [], bare: [] };
  const seen = await find(new Set(groupsLeft), mark) ?? { alive: groupsLeft.map((group) => -group), bare: [] };
  return { ...seen, alive: seen.alive.filter((pid) => pid !== Deno.pid) };
}

/** Whether a process of a run is found that has left its group. */
export async function findsStrays(): Promise<boolean> {
  return Deno.build.os !== "windows" && await find(new Set(), undefined) !== undefined;
}

/** Once refused, always refused: permissions of a process do not grow. */
let procRefused = Deno.build.os !== "linux";

async function find(groups: ReadonlySet<number>, mark: string | undefined): Promise<Seen | undefined> {
  if (!procRefused) {
    try {
      return fromProc(groups, mark);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotCapable)) throw error;
      procRefused = true;
    }
  }
  return await fromPs(groups, mark);
}

/** Sends a signal; false where there is no such process or it is not ours. 0 only asks. */
export function sendSignal(pid: number, signal: "SIGTERM" | "SIGKILL" | 0): boolean {
  try {
    Deno.kill(pid, signal as Deno.Signal); // 0 works as in kill(2); the type lists only named signals
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof TypeError) return false;
    if (error instanceof Deno.errors.PermissionDenied) return false;
    throw error;
  }
}

function fromProc(groups: ReadonlySet<number>, mark: string | undefined): Seen {
  const alive: number[] = [];
  const bare: string[] = [];
  const listed = new Set<string>();
  // One that was listed may have started another, and ended before it was looked at.
  for (let listing = 0; alive.length === 0 && listing < LISTINGS_MAX; listing++) {
    const known = listed.size;
    for (const { name } of Deno.readDirSync("/proc")) {
      if (!/^\d+$/.test(name) || listed.has(name)) continue;
      listed.add(name);
      const seen = lookAt(name, mark);
      if (seen === undefined) continue;
      if (seen.marked || groups.has(seen.group)) alive.push(Number(name));
      else if (seen.bare) bare.push(`${name} ${seen.start}`);
    }
    if (listed.size === known) break;
  }
  return { alive, bare };
}

/** What `/proc` tells of a living process; undefined where it does not live, or is another user's and so not ours to end. */
function lookAt(pid: string, mark: string | undefined) {
  try {
    // "pid (comm) state ppid pgrp …": comm may hold anything, so read from its closing parenthesis on.
    const stat = Deno.readTextFileSync(`/proc/${pid}/stat`);
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    const [state, , group] = fields;
    if (state === "Z" || state === "X") return undefined;
    const [start, memory] = fields.slice(19);
    const environment = mark === undefined ? undefined : Deno.readTextFileSync(`/proc/${pid}/environ`);
    return {
      group: Number(group),
      start,
      marked: environment?.split("\0").includes(`${MARK}=${mark}`) === true,
      // A whole one ends like this. The kernel's own have no memory, and never an environment.
      bare: environment?.endsWith("\0") === false && memory !== "0",
    };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied || isGone(error)) {
      return undefined;
    }
    throw error;
  }
}

/** Reading a file of a process that is just ending, or of the kernel's own, fails with ESRCH, for which Deno has no class. */
function isGone(error: unknown): boolean {
  return error instanceof Error && error.message.includes("(os error 3)");
}

async function fromPs(groups: ReadonlySet<number>, mark: string | undefined): Promise<Seen | undefined> {
  // Each ps has its own letter for the environment, which then stands behind the command.
  const letters = Deno.build.os === "linux" ? "axeww" : "axEww";
  const lines = await ps(letters, "-o", "pid=,pgid=,stat=,command=");
  if (lines === undefined) return undefined;
  const alive: number[] = [];
  for (const line of lines) {
    const [, pid, group, state = "", command = ""] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [];
    if (pid === undefined || state.startsWith("Z")) continue;
    const marked = mark !== undefined && ` ${command} `.includes(` ${MARK}=${mark} `);
    if (marked || groups.has(Number(group))) alive.push(Number(pid));
  }
  return { alive, bare: [] };
}

/** Windows has no groups or signals: the tree below each leader is ended at once. */
async function endTree({ groups }: Owned): Promise<number[]> {
  for (const pid of groups) await new Deno.Command("taskkill", { args: ["/PID", String(pid), "/T", "/F"] }).output();
  return [];
}
