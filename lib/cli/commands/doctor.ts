/** `xtask doctor`: looks at this machine and says what is wrong and what to do. */
import { CAPABILITY_NAMES, loadCapability } from "../../capability/registry.ts";
import { resolveTools } from "../../capability/tools.ts";
import { XtaskError } from "../../protocol/error.ts";
import { platformHere } from "../../protocol/platform.ts";
import { VERSION } from "../../protocol/version.ts";
import { assetPath } from "../assets.ts";
import type { Shell } from "../shell.ts";
import { styled, table } from "../terminal.ts";
import type { FleetFlags } from "./nodes.ts";

interface Finding {
  readonly what: string;
  readonly ok: boolean;
  readonly found: string;
  /** What to do about it. */
  readonly advice?: string;
}

/** More than this between two clocks confuses deadlines and logs. */
const CLOCK_OFFSET_MAX_MS = 2_000;

/** Prints what was found; the exit code is 1 where something is wrong. */
export async function doctor(this: Shell, { json, context }: FleetFlags): Promise<void> {
  const { os, arch } = platformHere();
  const findings: Finding[] = [
    { what: "xtask", ok: true, found: `${VERSION}, ${os}/${arch}, deno ${Deno.version.deno}` },
    await attempt("data", () => writable(this.paths.data), "set XTASK_HOME to a folder that you may write to"),
    await attempt(
      "nats-server",
      () => assetPath(this, "nats-server"),
      "set XTASK_NATS_SERVER to a nats-server of yours",
    ),
    await attempt("task", () => assetPath(this, "task"), "set XTASK_TASK to a Task of yours"),
    ...await capabilities(this),
    ...await hub(this, context),
  ];
  if (json) findings.forEach((finding) => this.print(JSON.stringify(finding)));
  else {
    const mark = (ok: boolean) => styled(ok ? "ok" : "no", ok ? "green" : "yellow", this.color);
    this.print(
      table(
        ["", "WHAT", "FOUND", ""],
        findings.map(({ what, ok, found, advice = "" }) => [mark(ok), what, found, advice]),
      ),
    );
  }
  if (findings.some(({ ok, what }) => !ok && !CAPABILITY_NAMES.some((name) => name === what))) this.exit(1);
}

async function attempt(what: string, look: () => Promise<string>, advice: string): Promise<Finding> {
  try {
    return { what, ok: true, found: await look() };
  } catch (thrown) {
    const { message, details } = XtaskError.from(thrown);
    return { what, ok: false, found: message, advice: details[0] ?? advice };
  }
}

async function writable(dir: string): Promise<string> {
  await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
  const probe = await Deno.makeTempFile({ dir, prefix: "doctor-" });
  await Deno.remove(probe);
  return dir;
}

async function capabilities(shell: Shell): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const name of CAPABILITY_NAMES) {
    if (name === "task") continue;
    const { missing } = resolveTools(await loadCapability(name), { env: shell.env });
    found.push(
      missing.length === 0 ? { what: name, ok: true, found: "can be offered" } : {
        what: name,
        ok: false,
        found: `no ${missing.join(" and ")} on PATH`,
        advice: "needed only where this node is to offer it",
      },
    );
  }
  return found;
}

async function hub(shell: Shell, name: string | undefined): Promise<Finding[]> {
  let url: string;
  try {
    ({ url } = await shell.context(name));
  } catch (thrown) {
    const { message, details } = XtaskError.from(thrown);
    return [{ what: "hub", ok: true, found: message, advice: details[0] ?? "" }];
  }
  try {
    await using fleet = await shell.connect(name);
    const begun = performance.now();
    const nodes = await fleet.nodes();
    const roundTripMs = performance.now() - begun;
    const offsetMs = await clockOffset(shell, name);
    return [
      { what: "hub", ok: true, found: `${url} answers in ${roundTripMs.toFixed(0)} ms; ${nodes.length} node(s)` },
      ...(offsetMs === undefined ? [] : [{
        what: "clock",
        ok: Math.abs(offsetMs) < CLOCK_OFFSET_MAX_MS,
        found: `${offsetMs.toFixed(0)} ms from the hub's`,
        ...(Math.abs(offsetMs) < CLOCK_OFFSET_MAX_MS ? {} : { advice: "set this machine's clock, best by NTP" }),
      }]),
    ];
  } catch (thrown) {
    const { message, details } = XtaskError.from(thrown);
    return [{ what: "hub", ok: false, found: message, advice: details[0] ?? `is ${url} right, and the hub up?` }];
  }
}

/** How far this clock is ahead of the hub's, by the date of its HTTP answers, which count whole seconds. */
async function clockOffset(shell: Shell, name: string | undefined): Promise<number | undefined> {
  const { http } = await shell.context(name);
  if (http === undefined) return undefined;
  try {
    const answer = await fetch(`${http}/healthz`, { signal: AbortSignal.timeout(2_000) });
    await answer.body?.cancel();
    const date = Date.parse(answer.headers.get("date") ?? "");
    return Number.isNaN(date) ? undefined : Date.now() - (date + 500);
  } catch {
    // Only the NATS port may be reachable from here, and that is enough for everything else.
    return undefined;
  }
}
