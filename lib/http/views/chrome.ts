/** What every page shows beside its view. */
import { wantsAttention } from "../../protocol/alert.ts";
import { stateOf } from "../../protocol/move.ts";
import { isTerminal } from "../../protocol/state.ts";
import { alertsBadge } from "../../../ui/alerts.tsx";
import type { Frame } from "../../../ui/frame.ts";
import { chromeFrame } from "../../../ui/layout.tsx";
import { ANNOUNCED_MS, announcementFrame } from "../../../ui/team.tsx";
import type { Model } from "../live/model.ts";

/** Counts, and what was announced of late. */
export function chromeOf({ nodes, commands, alerts: kept, team }: Model): Frame[] {
  const [all, now] = [[...nodes.values()], Date.now()];
  const alerts = [...kept.values()].filter((alert) => wantsAttention(alert, now)).length;
  const announced = team.notes.findLast(({ to }) => to === "global");
  const chrome = chromeFrame({
    online: all.filter(({ state }) => state !== "offline").length,
    total: all.length,
    running: [...commands.values()].filter((command) => !isTerminal(stateOf(command))).length,
    alerts,
  });
  const lasts = announced !== undefined && now - Date.parse(announced.at) < ANNOUNCED_MS;
  return [chrome, alertsBadge(alerts), announcementFrame(lasts ? announced : undefined)];
}
