/** What every page shows beside its view. */
import { wantsAttention } from "../../protocol/alert.ts";
import { stateOf } from "../../protocol/move.ts";
import { isTerminal } from "../../protocol/state.ts";
import { alertsBadge } from "../../../ui/alerts.tsx";
import type { Frame } from "../../../ui/frame.ts";
import { awayFrame, chromeFrame } from "../../../ui/layout.tsx";
import { ANNOUNCED_MS, announcementFrame } from "../../../ui/team.tsx";
import type { Model } from "../live/model.ts";

/** Counts, and what was announced of late. */
export function chromeOf({ nodes, commands, alerts: kept, team, linked }: Model): Frame[] {
  const [all, now] = [[...nodes.values()], Date.now()];
  const alerts = [...kept.values()].filter((alert) => wantsAttention(alert, now)).length;
  const announced = team.notes.findLast(({ to }) => to === "global");
  const open = [...commands.values()].map(stateOf).filter((state) => !isTerminal(state));
  const chrome = chromeFrame({
    online: all.filter(({ state }) => state !== "offline").length,
    total: all.length,
    running: open.filter((state) => state === "running").length,
    waiting: open.filter((state) => state !== "running").length,
    alerts,
  });
  const lasts = announced !== undefined && now - Date.parse(announced.at) < ANNOUNCED_MS;
  return [chrome, awayFrame(linked), alertsBadge(alerts), announcementFrame(lasts ? announced : undefined)];
}
