/** Reads what the programs of each system print about listening TCP sockets. Pure: text in, owners out. */

/** A process that listens on the port. */
export interface Owner {
  readonly pid: number;
  /** The program's short name; empty where it is not told. */
  readonly name: string;
}

/** Who listens on a port. */
export interface Listing {
  /** Each process once. */
  readonly owners: readonly Owner[];
  /** Whether there is a listener whose process is not ours to see. */
  readonly hidden: boolean;
}

/** The kernel keeps this much of a process's name. */
const LINUX_NAME_MAX = 15;
/** Some thousand processes on one port; more are not read, so the port reads as one whose owners cannot be seen. */
const USERS_CHARS_MAX = 100_000;

/**
 * `ss -Hltnp sport = :PORT` (Linux). The last column is `users:(("name",pid=1,fd=2),…)`, left out for processes of others.
 */
export function parseSs(text: string): Listing {
  const owners = new Map<number, Owner>();
  let hidden = false;
  for (const line of text.split("\n")) {
    if (!line.startsWith("LISTEN")) continue;
    const found = parseSsUsers(/users:\((.*)\)\s*$/.exec(line)?.[1] ?? "");
    if (found === undefined || found.length === 0) hidden = true;
    for (const owner of found ?? []) owners.set(owner.pid, owner);
  }
  return { owners: [...owners.values()], hidden };
}

/**
 * A process chooses its name, and `ss` quotes nothing: `",pid=1,fd=1` is a name. So an entry may only end where all that
 * follows is made of whole entries too; with 15 characters no name can hold a second one.
 */
function parseSsUsers(text: string): Owner[] | undefined {
  if (text === "") return [];
  if (!text.startsWith('("') || text.length > USERS_CHARS_MAX) return undefined;
  for (const end of text.slice(0, 200).matchAll(/",pid=(\d+),fd=\d+\)(,|$)/g)) {
    if (end.index < 2) continue;
    const name = text.slice(2, end.index);
    if (name.length > LINUX_NAME_MAX) break;
    const rest = parseSsUsers(text.slice(end.index + end[0].length));
    if (rest !== undefined) return [{ pid: Number(end[1]), name }, ...rest];
  }
  return undefined;
}

/**
 * `lsof -nP -iTCP:PORT -sTCP:LISTEN -Fpcn` (macOS, Linux): a line a field, its first letter says which; `p` begins a
 * process. Names are escaped, so a line is always a field. Processes of others are left out without a word.
 */
export function parseLsof(text: string): Owner[] {
  const owners: { pid: number; name: string }[] = [];
  for (const line of text.split("\n")) {
    const value = line.slice(1);
    if (line.startsWith("p") && /^\d+$/.test(value)) owners.push({ pid: Number(value), name: "" });
    const last = owners.at(-1);
    if (line.startsWith("c") && last !== undefined) last.name = value;
  }
  return owners;
}

/** `netstat -an` of macOS and Linux: whether anything listens on the port, whoever's it is. */
export function parseNetstat(text: string, port: number): boolean {
  // tcp4  0  0  127.0.0.1.8080  *.*  LISTEN      (macOS)
  // tcp   0  0  127.0.0.1:8080  0.0.0.0:*  LISTEN (Linux)
  return text.split("\n").some((line) => {
    const [protocol = "", , , local = "", , state] = line.trim().split(/\s+/);
    return protocol.startsWith("tcp") && state === "LISTEN" && /[.:](\d+)$/.exec(local)?.[1] === String(port);
  });
}

/**
 * `netstat -ano -p TCP` (or `TCPv6`) of Windows: the pids that listen on the port. The word for LISTENING depends on the
 * system's language, so a listener is told by its empty peer.
 */
export function parseWindowsNetstat(text: string, port: number): number[] {
  const pids = new Set<number>();
  for (const line of text.split(/\r?\n/)) {
    const [protocol, local = "", peer = "", ...rest] = line.trim().split(/\s+/);
    if (protocol !== "TCP" || !/^(0\.0\.0\.0|\[::\]):0$/.test(peer)) continue;
    const pid = rest.at(-1) ?? "";
    if (/:(\d+)$/.exec(local)?.[1] === String(port) && /^\d+$/.test(pid)) pids.add(Number(pid));
  }
  return [...pids];
}

/** `tasklist /FI "PID eq N" /FO CSV /NH`: the program's name, or nothing where there is no such process. */
export function parseTasklist(text: string, pid: number): string {
  for (const line of text.split(/\r?\n/)) {
    const [, name, id] = /^"([^"]*)","(\d+)"/.exec(line) ?? [];
    if (Number(id) === pid) return name ?? "";
  }
  return "";
}

/** `ps -o pid=,lstart= -p …` in the C locale: when each process started, in milliseconds since 1970. */
export function parseStarts(text: string): Map<number, number> {
  const starts = new Map<number, number>();
  for (const line of text.split("\n")) {
    const [, pid, at = ""] = /^\s*(\d+)\s+(\S.*)$/.exec(line) ?? [];
    const started = Date.parse(at);
    if (pid !== undefined && !Number.isNaN(started)) starts.set(Number(pid), started);
  }
  return starts;
}
