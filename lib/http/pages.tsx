/**
 * The pages. To add one: a view in `views/` (what it needs of its address, its title, its frames), its line in `VIEWS`, and
 * one in `NAVIGATION` of ui/layout.tsx where it is to be found. A view's frames are rendered into the page and, by the same
 * function, kept up to date over `/events`.
 */
import { Hono } from "hono";
import { XtaskError } from "../protocol/error.ts";
import { Layout } from "../../ui/layout.tsx";
import { consoleRoutes } from "./console.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { logRoutes } from "./logs.ts";
import { metricsRoutes } from "./metrics.ts";
import { renderedOf } from "./live/rendered.ts";
import { tabStream } from "./live/tab.ts";
import { staticFiles } from "./static.ts";
import { alerts } from "./views/alerts.tsx";
import { charts } from "./views/charts.tsx";
import { chromeOf } from "./views/chrome.ts";
import { command, commands } from "./views/commands.tsx";
import { fleet, node } from "./views/fleet.tsx";
import { run, verb } from "./views/run.tsx";
import { team } from "./views/team.tsx";
import type { View } from "./views/view.ts";

/** Options of {@linkcode pageRoutes}. */
export interface PageOptions {
  /** The text of Datastar. */
  readonly datastar: string;
  readonly log: (message: string) => void;
}

/** The views, each by its path. */
export const VIEWS: Readonly<Record<string, View>> = {
  "/": fleet,
  "/nodes/:id": node,
  "/commands": commands,
  "/commands/:id": command,
  "/charts": charts,
  "/run": run,
  "/run/:capability/:verb": verb,
  "/alerts": alerts,
  "/team": team,
};

/** The routes of the page. */
export function pageRoutes({ datastar, log }: PageOptions): Hono<HttpEnv> {
  const files = staticFiles(datastar);
  const page = (path: string, view: View) => async (context: HttpContext) => {
    const query = { ...context.req.query(), ...context.req.param() };
    const { title, head, tail, frames, draws } = await view.open(context.get("model"), query);
    // The heading stands in the layout already.
    const made = (await frames()).filter(({ id }) => id !== "title");
    const [project, projects] = [context.get("project"), context.get("projects").names];
    const events = `/events?${new URLSearchParams({ ...query, view: path, project })}`;
    return context.html(
      "<!DOCTYPE html>" + String(
        <Layout
          {...{ title, current: view.current, project, projects, nonce: context.get("nonce"), files, events, draws }}
        >
          {head}
          <div
            class={`view view-${path.split("/")[1]}`}
            dangerouslySetInnerHTML={{ __html: made.map(({ html }) => html).join("") }}
          />
          {tail}
        </Layout>,
      ),
    );
  };
  const routes = new Hono<HttpEnv>()
    .route("/", files.routes)
    .route("/", logRoutes(log))
    .route("/", consoleRoutes())
    .route("/", metricsRoutes())
    .get("/events", async (context) => {
      const { view: path = "", ...query } = context.req.query();
      const view = Object.hasOwn(VIEWS, path) ? VIEWS[path] : undefined;
      if (view === undefined) throw new XtaskError("not_found", `There is no view '${path.slice(0, 40)}'`);
      const model = context.get("model");
      const { frames } = await view.open(model, query);
      const { signal } = context.get("caller");
      const place = context.get("streams").take(context.get("caller"));
      const rendered = renderedOf(model);
      const key = JSON.stringify([path, query]);
      const stream = tabStream({
        frames: () => rendered.of(key, async () => [...chromeOf(model), ...await frames()]),
        onChange: (hear) => model.onChange(hear),
        signal,
        onEnd: () => place[Symbol.dispose](),
        onTrouble: (error) => log(`view ${path}: ${XtaskError.from(error).message}`),
      });
      return context.body(stream, 200, { "content-type": "text/event-stream", "x-accel-buffering": "no" });
    });
  for (const [path, view] of Object.entries(VIEWS)) routes.get(path, page(path, view));
  return routes;
}
