/**
 * Finds out who listens on a port. By programs, since a Worker with scoped permissions may not read `/proc` (Deno asks for
 * all permissions there), and on macOS and Windows there is no such folder anyway.
 */
import { XtaskError } from "../../protocol/error.ts";
import type { ExecResult, RunContext } from "../define.ts";
import {
  type Listing,
  parseLsof,
  parseNetstat,
  parseSs,
  parseStarts,
  parseTasklist,
  parseWindowsNetstat,
} from "./listing.ts";

/** What is looked with; on a system each of those that it has. */
export const OWNER_TOOLS = {
  // Not everybody's PATH has the folders where these two often are.
  "ss?": ["ss", "/usr/sbin/ss", "/sbin/ss"],
  "lsof?": ["lsof", "/usr/sbin/lsof"],
  "netstat?": ["netstat", "/usr/sbin/netstat"],
  "ps?": ["ps"],
  "tasklist?": ["tasklist"],
} as const;

/** A look takes milliseconds; a program that hangs, as lsof can on a dead network file system, is given up. */
const LOOK_MS = 10_000;

/** Why the listeners of this node cannot be seen, or undefined. */
export function cannotLook({ node: { platform, tools } }: RunContext): string | undefined {
  switch (platform.os) {
    case "linux":
      return tools.ss ?? tools.lsof ? undefined : "neither ss nor lsof is on PATH";
    case "darwin":
      return tools.lsof ? undefined : "lsof is not on PATH";
    case "windows":
      return tools.netstat ? undefined : "netstat is not on PATH";
  }
}

/**
 * Who listens on the TCP port now, on any address, IPv4 and IPv6.
 *
 * @throws {XtaskError} `unavailable` where no program answers
 */
export async function ownersOf(port: number, context: RunContext): Promise<Listing> {
  const { platform, tools } = context.node;
  if (platform.os === "windows") return await windowsOwners(port, context);
  if (platform.os === "linux" && tools.ss !== undefined) {
    const { code, stdout } = await look([tools.ss, "-Hltnp", "sport", "=", `:${port}`], context);
    if (code === 0) return parseSs(stdout);
  }
  if (tools.lsof === undefined) {
    throw new XtaskError("unavailable", "Cannot see who listens on a port", { details: ["install lsof"] });
  }
  // It ends with 1 where it has found nothing.
  const { stdout } = await look([tools.lsof, "-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fpcn"], context);
  const owners = parseLsof(stdout);
  if (owners.length > 0 || tools.netstat === undefined) return { owners, hidden: false };
  const all = await look([tools.netstat, ...(platform.os === "darwin" ? ["-an", "-p", "tcp"] : ["-ltn"])], context);
  return { owners, hidden: parseNetstat(all.stdout, port) };
}

async function windowsOwners(port: number, context: RunContext): Promise<Listing> {
  const { netstat, tasklist } = context.node.tools;
  if (netstat === undefined) throw new XtaskError("unavailable", "Cannot see who listens on a port without netstat");
  const pids = new Set<number>();
  for (const protocol of ["TCP", "TCPv6"]) {
    const { stdout } = await look([netstat, "-ano", "-p", protocol], context);
    for (const pid of parseWindowsNetstat(stdout, port)) pids.add(pid);
  }
  const owners = [];
  for (const pid of pids) {
    const listed = tasklist === undefined
      ? undefined
      : await look([tasklist, "/FI", `PID eq ${pid}`, "/FO", "CSV", "/NH"], context);
    owners.push({ pid, name: parseTasklist(listed?.stdout ?? "", pid) });
  }
  return { owners, hidden: false };
}

/** When each process started, in milliseconds since 1970; without those of which it cannot be told. */
export async function startsOf(pids: readonly number[], context: RunContext): Promise<Map<number, number>> {
  const { ps } = context.node.tools;
  if (ps === undefined || pids.length === 0 || context.node.platform.os === "windows") return new Map();
  const { stdout } = await look([ps, "-o", "pid=,lstart=", "-p", pids.join(",")], context);
  return parseStarts(stdout);
}

function look(command: readonly string[], context: RunContext): Promise<ExecResult> {
  return context.exec(command, { output: "capture", timeoutMs: LOOK_MS, env: { LC_ALL: "C" } });
}
