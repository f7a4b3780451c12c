/** The alerts. */
import { type AlertRecord, wantsAttention } from "../../protocol/alert.ts";
import { AlertSearch, alertsFrame } from "../../../ui/alerts.tsx";
import type { Model } from "../live/model.ts";
import { isFiltered, LISTED_MAX, type Query, type View } from "./view.ts";

/** The alerts that last, or all. */
export const alerts: View = {
  current: "alerts",
  open: (model, query) => ({
    title: "Alerts",
    head: <AlertSearch severity={query.severity ?? ""} node={query.node ?? ""} all={query.all ?? ""} />,
    frames: () => {
      const filtered = isFiltered(query, ["severity", "node", "all"]);
      return [alertsFrame({ alerts: chosen(model, query), filtered, now: Date.now() })];
    },
  }),
};

/** What wants attention first, then the newest first. */
function chosen({ alerts }: Model, { severity = "", node = "", all = "" }: Query): AlertRecord[] {
  const now = Date.now();
  return [...alerts.values()].filter((alert) =>
    (severity === "" || alert.severity === severity) && (node === "" || alert.node === node) &&
    (all !== "" || alert.resolvedAt === undefined)
  ).sort((a, b) =>
    Number(wantsAttention(b, now)) - Number(wantsAttention(a, now)) || (a.openedAt < b.openedAt ? 1 : -1)
  ).slice(0, LISTED_MAX);
}
