/** Frees a TCP port by ending whoever listens on it: what stands between a developer and starting the server again. */
import { setTimeout as delay } from "node:timers/promises";
import * as v from "valibot";
import { XtaskError } from "../protocol/error.ts";
import { type Capability, defineCapability, type RunContext, verb } from "./define.ts";
import type { Listing, Owner } from "./kill_port/listing.ts";
import { cannotLook, OWNER_TOOLS, ownersOf, startsOf } from "./kill_port/owners.ts";

const Killed = v.object({ pid: v.number(), name: v.string(), signal: v.picklist(["SIGTERM", "SIGKILL"]) });
type Killed = v.InferOutput<typeof Killed>;

const GRACE_MS_DEFAULT = 3_000;
/** After SIGKILL the kernel only has to clear up. */
const KILL_WAIT_MS = 5_000;
/** Between two looks: at first so short that the usual quick end costs no time, then longer. */
const POLL_MS = { first: 20, max: 250 };
/** `ps` derives a start from the clock and the time since boot, so that the same start may read a second off. */
const START_TOLERANCE_MS = 2_000;

const killPort: Capability = defineCapability({
  name: "kill-port",
  summary: "End whoever listens on a TCP port of a node",
  tools: OWNER_TOOLS,
  // To signal processes Deno asks for the right to run anything.
  permissions: () => ({ run: true }),
  ready: (context) => Promise.resolve(cannotLook(context)),
  verbs: {
    kill: verb({
      summary: "End the processes that listen on a port, and see it free",
      effect: "change",
      token: "port",
      input: v.strictObject({
        port: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(65_535), v.description("The TCP port")),
        graceMs: v.pipe(
          v.optional(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(60_000)), GRACE_MS_DEFAULT),
          v.description("Between SIGTERM and SIGKILL, in milliseconds"),
        ),
      }),
      output: v.object({ port: v.number(), killed: v.array(Killed), free: v.literal(true) }),
      cli: { positional: "port" },
      run: ({ port, graceMs }, context) => freePort(port, graceMs, context),
    }),
  },
});
export default killPort;

async function freePort(port: number, graceMs: number, context: RunContext) {
  const first = await ownersOf(port, context);
  if (isFree(first)) {
    context.log(`nothing listens on port ${port}`);
    return { port, killed: [], free: true as const };
  }
  refuseForbidden(port, first, context);
  const starts = await startsOf(first.owners.map(({ pid }) => pid), context);
  const killed = new Map<number, Killed>();
  for (const { signal, waitMs } of stepsFor(context, graceMs)) {
    const { owners } = await ownersOf(port, context);
    const targets = sameProcesses(
      { owners: first.owners, starts },
      { owners, starts: await startsOf(owners.map(({ pid }) => pid), context) },
    );
    const refused = targets.filter(({ pid, name }) => {
      const sent = context.kill(pid, signal);
      if (sent) killed.set(pid, { pid, name, signal });
      return !sent;
    });
    if (refused.length > 0) await refuseOthers(port, refused, context);
    if (await becomesFree(port, waitMs, context)) {
      for (const { pid, name, signal } of killed.values()) context.log(`ended ${name} (pid ${pid}) with ${signal}`);
      return { port, killed: [...killed.values()], free: true as const };
    }
  }
  throw await stillTaken(port, first.owners, context);
}

/** What is sent, and how long is then waited. Windows knows no polite way to end a process without a window. */
function stepsFor({ node }: RunContext, graceMs: number): readonly { signal: Killed["signal"]; waitMs: number }[] {
  const last = { signal: "SIGKILL", waitMs: KILL_WAIT_MS } as const;
  return node.platform.os === "windows" ? [last] : [{ signal: "SIGTERM", waitMs: graceMs }, last];
}

/** Owners of the port at one moment, and when they started as far as that can be told. */
export interface Sighting {
  readonly owners: readonly Owner[];
  readonly starts: ReadonlyMap<number, number>;
}

/**
 * Who of those that are there now was there at first: only they are ended. A process that came since, be it one that got
 * the number of an ended one, is nobody's wish.
 */
export function sameProcesses(first: Sighting, now: Sighting): Owner[] {
  return now.owners.filter(({ pid }) => {
    if (!first.owners.some((owner) => owner.pid === pid)) return false;
    const before = first.starts.get(pid);
    const since = now.starts.get(pid);
    return before === undefined || since === undefined || Math.abs(since - before) <= START_TOLERANCE_MS;
  });
}

function isFree({ owners, hidden }: Listing): boolean {
  return owners.length === 0 && !hidden;
}

/** Before anything is ended: where one of the owners may not be, ending the others would not free the port. */
function refuseForbidden(port: number, { owners, hidden }: Listing, { node }: RunContext): void {
  const spared = new Set([0, 1, Deno.pid, ...(node.platform.os === "windows" ? [4] : []), ...node.protectedPids]);
  const own = owners.filter(({ pid }) => spared.has(pid));
  if (own.length > 0) {
    throw new XtaskError("forbidden", `Port ${port} belongs to the system or to xtask itself`, {
      details: own.map(describe),
    });
  }
  if (hidden) throw unseen(port);
}

/** A signal that could not be sent: the process has ended meanwhile, or it is another user's. */
async function refuseOthers(port: number, refused: readonly Owner[], context: RunContext): Promise<void> {
  const { owners } = await ownersOf(port, context);
  const left = refused.filter(({ pid }) => owners.some((owner) => owner.pid === pid));
  if (left.length === 0) return;
  throw new XtaskError("forbidden", `Port ${port} belongs to another user's process`, {
    details: [...left.map(describe), "run the agent as that user to end it"],
  });
}

async function becomesFree(port: number, waitMs: number, context: RunContext): Promise<boolean> {
  const until = performance.now() + waitMs;
  for (let pauseMs = POLL_MS.first;; pauseMs = Math.min(2 * pauseMs, POLL_MS.max)) {
    if (isFree(await ownersOf(port, context))) return true;
    const leftMs = until - performance.now();
    if (leftMs <= 0) return false;
    await delay(Math.min(pauseMs, leftMs), undefined, { signal: context.signal })
      .catch(() => context.signal.throwIfAborted());
  }
}

async function stillTaken(port: number, asked: readonly Owner[], context: RunContext): Promise<XtaskError> {
  const { owners } = await ownersOf(port, context);
  if (owners.length === 0) return unseen(port);
  const came = owners.filter(({ pid }) => !asked.some((owner) => owner.pid === pid));
  return new XtaskError("conflict", `Port ${port} is ${came.length > 0 ? "taken again" : "still taken"}`, {
    details: [...owners.map(describe), ...(came.length > 0 ? ["end first what starts it again"] : [])],
  });
}

function unseen(port: number): XtaskError {
  return new XtaskError("forbidden", `Port ${port} belongs to a process that cannot be seen`, {
    details: ["it is another user's: run the agent as that user to end it"],
  });
}

function describe({ pid, name }: Owner): string {
  return name === "" ? `pid ${pid}` : `pid ${pid} (${name})`;
}
