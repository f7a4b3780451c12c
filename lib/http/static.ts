/** The page's own files, each under a name that holds the hash of what it is, so that browsers may keep it for ever. */
import { Hono } from "hono";
import { createHash } from "node:crypto";
import appCss from "../../ui/static/app.css" with { type: "text" };
import appJs from "../../ui/static/app.js" with { type: "text" };
import logJs from "../../ui/static/log.js" with { type: "text" };
import chartsCss from "../../ui/static/charts.css" with { type: "text" };
import chartsJs from "../../ui/static/charts.js" with { type: "text" };
import uPlotCss from "uplot/dist/uPlot.min.css" with { type: "text" };
import uPlotJs from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import type { Files } from "../../ui/layout.tsx";
import { paletteCss } from "../../ui/palette.ts";
import type { HttpEnv } from "./context.ts";

const TYPES = { css: "text/css; charset=utf-8", js: "text/javascript; charset=utf-8" } as const;

/** The files of the page. */
export interface StaticFiles extends Files {
  readonly routes: Hono<HttpEnv>;
}

/** @param datastar The text of the page's script */
export function staticFiles(datastar: string): StaticFiles {
  const files = new Map<string, { body: string; type: string }>();
  const add = (name: string, kind: keyof typeof TYPES, body: string) => {
    const hash = createHash("sha256").update(body).digest("base64url").slice(0, 16);
    const file = `${name}.${hash}.${kind}`;
    files.set(file, { body, type: TYPES[kind] });
    return `/static/${file}`;
  };
  const css = add("app", "css", appCss + paletteCss());
  const [app, log, script] = [add("app", "js", appJs), add("log", "js", logJs), add("datastar", "js", datastar)];
  const routes = new Hono<HttpEnv>().get("/static/:file", (context) => {
    const file = files.get(context.req.param("file"));
    if (file === undefined) return context.notFound();
    return context.body(file.body, 200, {
      "content-type": file.type,
      "cache-control": "private, max-age=31536000, immutable",
    });
  });
  const charts = {
    css: add("charts", "css", uPlotCss + chartsCss),
    js: add("charts", "js", `${uPlotJs}\n${chartsJs}`),
  };
  return { css, app, log, datastar: script, charts, routes };
}
