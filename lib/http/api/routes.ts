/** The table of all that `/api/v1` answers: what Hono serves, and what the document tells of it. */
import type { Capability } from "../../capability/define.ts";
import { linkRoute, SESSION_ROUTE } from "../login.ts";
import type { Sessions } from "../session.ts";
import { ALERT_ROUTES } from "./alerts.ts";
import { capabilityRoutes } from "./capabilities.ts";
import { COMMAND_ROUTES } from "./commands.ts";
import { documentRoute } from "./document.ts";
import { EVENT_ROUTES } from "./events.ts";
import { METRICS_ROUTES } from "./metrics.ts";
import { NODE_ROUTES } from "./nodes.ts";
import { OUTPUT_ROUTES } from "./output.ts";
import type { ApiRoute } from "./route.ts";
import { TEAM_ROUTES } from "./team.ts";

/** All routes. */
export function apiRoutes(capabilities: readonly Capability[], sessions: Sessions): readonly ApiRoute[] {
  const routes: ApiRoute[] = [
    ...NODE_ROUTES,
    ...COMMAND_ROUTES,
    ...OUTPUT_ROUTES,
    ...capabilityRoutes(capabilities),
    ...EVENT_ROUTES,
    ...ALERT_ROUTES,
    ...TEAM_ROUTES,
    ...METRICS_ROUTES,
    SESSION_ROUTE,
    linkRoute(sessions),
  ];
  return [...routes, documentRoute(routes)];
}
