/** The hub: whether it answers, how soon, and whether its clock and this one agree; and this machine's own leaf node. */
import { type HubHealth, hubHealth } from "../../client/clock.ts";
import { XtaskError } from "../../protocol/error.ts";
import { NodeRecord } from "../../protocol/node.ts";
import { parseJson } from "../../protocol/parse.ts";
import { statusSubject } from "../../protocol/subjects.ts";
import { VERSION } from "../../protocol/version.ts";
import { askPage } from "../ask_page.ts";
import { type Context, withoutPassword } from "../contexts.ts";
import type { Shell } from "../shell.ts";
import { duration } from "../terminal.ts";
import { type Finding, look } from "./finding.ts";

/** More than this between two clocks confuses deadlines and logs. */
const CLOCK_OFFSET_MAX_MS = 2_000;

/** Looks whether the agent of this machine runs, where it has a server of its own. */
export async function nodeFindings({ contexts, connect }: Shell): Promise<Finding[]> {
  // Where they cannot be read, looking for the hub tells it.
  const own = (await contexts.list().catch(() => [])).find(({ node }) => node !== undefined);
  if (own?.node === undefined) return [];
  const { name, node } = own;
  return [
    await look("node", async () => {
      await using fleet = await connect(name).catch((cause) => {
        throw new XtaskError("unavailable", `The agent of ${node} does not run`, {
          details: ["start it again: xtask agent --hub URL; it needs no token"],
          cause,
        });
      });
      const answer = await fleet.bus.request(statusSubject(node), "");
      const { state, link: { backlogBytes = 0 } } = parseJson(NodeRecord, answer.text(), `record of ${node}`);
      const waits = backlogBytes === 0 ? "nothing waits" : `${backlogBytes} bytes wait`;
      return { found: `${node} is ${state}, with a server of its own; ${waits} for the hub`, data: { backlogBytes } };
    }, "stop it and start it again: xtask agent --hub URL"),
  ];
}

/** Looks for the hub that a context names. */
export async function hubFindings(shell: Shell, name: string | undefined): Promise<Finding[]> {
  let context: Context;
  try {
    context = await shell.context(name);
  } catch (thrown) {
    const { message, details } = XtaskError.from(thrown);
    // Everything that runs here alone works without one; a context that was asked for by name is another matter.
    const asked = name !== undefined || shell.env.XTASK_CONTEXT !== undefined;
    return [{
      what: "hub",
      state: asked ? "wrong" : "note",
      found: message,
      advice: details[0] ?? "see: xtask context",
    }];
  }
  const { http, ca, node } = context;
  const where = `${withoutPassword(context.url)} (context ${context.name})`;
  if (node !== undefined) return await linkFindings(shell, context, node);
  try {
    await using fleet = await shell.connect(name);
    const health = await hubHealth(fleet);
    const nodes = await fleet.nodes();
    const away = nodes.filter(({ state }) => state === "offline").length;
    const counted = `${nodes.length} node${nodes.length === 1 ? "" : "s"}${away === 0 ? "" : `, ${away} of them away`}`;
    const { roundTripMs } = health;
    const found = `${where} answers in ${duration(roundTripMs)}; ${counted}`;
    return [
      { what: "hub", state: "ok", found, data: { roundTripMs, nodes: nodes.length } },
      ...version(health),
      ...leader(health),
      clock(health),
      ...(http === undefined ? [] : [await page({ http, ...(ca === undefined ? {} : { ca }) })]),
    ];
  } catch (thrown) {
    const { code, message, details: [reason = ""] } = XtaskError.from(thrown);
    // Where nothing answers, what comes with the error is the system's reason and nothing that could be done.
    return code === "unavailable"
      ? [
        wrong(
          `${where}: ${message}${reason && ` (${reason})`}`,
          "start it there with xtask up, or see what keeps this machine from reaching it",
        ),
      ]
      : [wrong(`${where}: ${message}`, reason || "see: xtask context")];
  }
}

/** The hub as a leaf node's own server reaches it. What there is beside it, a node does not know. */
async function linkFindings(shell: Shell, { name }: Context, node: string): Promise<Finding[]> {
  try {
    await using fleet = await shell.connect(name);
    const health = await hubHealth(fleet);
    const { roundTripMs } = health;
    const found = `answers ${node} over its link in ${duration(roundTripMs)}`;
    return [{ what: "hub", state: "ok", found, data: { roundTripMs } }, ...version(health), clock(health)];
  } catch (thrown) {
    return [
      wrong(
        `does not answer ${node}: ${XtaskError.from(thrown).message}`,
        "the node works on alone; see what keeps this machine from reaching the hub, and whether that runs",
      ),
    ];
  }
}

const wrong = (found: string, advice: string): Finding => ({ what: "hub", state: "wrong", found, advice });

const PAGE_MS = 3_000;

/** Commands go by NATS, so a machine that cannot reach the page lacks nothing but the page. */
async function page(where: Parameters<typeof askPage>[0]): Promise<Finding> {
  const what = "page";
  const { http: url } = where;
  try {
    const { status } = await askPage(where, "/healthz", { signal: AbortSignal.timeout(PAGE_MS) });
    if (status === 200) return { what, state: "ok", found: `${url} answers` };
    return { what, state: "note", found: `${url} answers ${status}`, advice: "is that the hub's address?" };
  } catch {
    // For whatever reason: it may be meant for the hub's own machine alone, as it is by default.
    const advice = "needed only to see the page, not for commands";
    return { what, state: "note", found: `${url} does not answer`, advice };
  }
}

function version({ version }: HubHealth): Finding[] {
  if (version === VERSION) return [];
  return [{
    what: "hub's version",
    state: "note",
    found: `${version}, and this is ${VERSION}`,
    advice: "use one version everywhere",
  }];
}

/** Of hub processes that take turns. How their servers keep what they acknowledge cannot be seen over NATS. */
function leader({ leader }: HubHealth): Finding[] {
  if (leader === undefined) return [];
  const { id, hostname, pid, startedAt } = leader;
  return [{
    what: "hub's process",
    state: "ok",
    found: `process ${pid} on ${hostname} (${id}), there since ${startedAt}, leads`,
    advice: "others that stand by say so at their /readyz; that its servers write at once (sync_interval: always) " +
      "is for their configuration to say",
  }];
}

/** Wrong only where the clocks are surely apart: the error counts in favour. */
export function clock({ aheadMs, errorMs }: Pick<HubHealth, "aheadMs" | "errorMs">): Finding {
  const apart = `${duration(Math.abs(aheadMs))} ${aheadMs < 0 ? "behind" : "ahead of"} the hub's`;
  const found = `${apart}, give or take ${duration(errorMs)}`;
  const data = { aheadMs, errorMs };
  if (Math.abs(aheadMs) - errorMs <= CLOCK_OFFSET_MAX_MS) return { what: "clock", state: "ok", found, data };
  const advice = "set both clocks, best by NTP: deadlines and logs go by them";
  return { what: "clock", state: "wrong", found, advice, data };
}
