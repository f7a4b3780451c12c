/**
 * The pages. To add one: a view here (what it needs of its address, its title, its frames), a line in `NAVIGATION` of
 * ui/layout.tsx where it is to be found. A view's frames are rendered into the page and, by the same function, kept up to
 * date over `/events`.
 */
import { Hono } from "hono";
import type { Child } from "hono/jsx";
import { CommandId, isId } from "../protocol/id.ts";
import { XtaskError } from "../protocol/error.ts";
import { parse } from "../protocol/parse.ts";
import { timeOfUlid } from "../protocol/ulid.ts";
import { isTerminal, STATES } from "../protocol/state.ts";
import { parseSelector } from "../protocol/selector.ts";
import type { CommandRecord } from "../protocol/run.ts";
import { alertsBadge, AlertSearch, alertsFrame } from "../../ui/alerts.tsx";
import { commandFrame, unheardFrame } from "../../ui/command.tsx";
import { commandsFrame } from "../../ui/commands.tsx";
import { fleetFrame, type FleetNode } from "../../ui/fleet.tsx";
import type { Frame } from "../../ui/frame.ts";
import { chromeFrame, Layout } from "../../ui/layout.tsx";
import { LogViewer } from "../../ui/log.tsx";
import { nodeFrame, offersFrame } from "../../ui/node.tsx";
import { commandWords } from "../../ui/parts.tsx";
import { CommandSearch, FleetSearch } from "../../ui/search.tsx";
import { ANNOUNCED_MS, announcementFrame, hereFrame, NoteForm, notesFrame } from "../../ui/team.tsx";
import { type AlertRecord, wantsAttention } from "../protocol/alert.ts";
import { consoleRoutes } from "./console.ts";
import type { HttpContext, HttpEnv } from "./context.ts";
import { lineOf } from "./line.ts";
import { logRoutes } from "./logs.ts";
import type { Model } from "./live/model.ts";
import { metricsRoutes } from "./metrics.ts";
import { tabStream } from "./live/tab.ts";
import { staticFiles } from "./static.ts";

/** Options of {@linkcode pageRoutes}. */
export interface PageOptions {
  readonly model: Model;
  /** The text of Datastar. */
  readonly datastar: string;
  readonly log: (message: string) => void;
}

type Query = Readonly<Record<string, string>>;

/** What can be looked at. */
interface View {
  /** Its name in {@linkcode NAVIGATION}, or of the one that leads to it. */
  readonly current: string;
  /** @throws {XtaskError} `not_found` where there is nothing to look at */
  readonly open: (model: Model, query: Query) => Promise<Opened> | Opened;
}

interface Opened {
  readonly title: string;
  readonly frames: () => Promise<readonly Frame[]> | readonly Frame[];
  /** What stands above the frames and does not change by itself. */
  readonly head?: Child;
  /** What stands below them. */
  readonly tail?: Child;
}

const VIEWS: Readonly<Record<string, View>> = {
  fleet: {
    current: "fleet",
    open: (model, query) => ({
      title: "Fleet",
      head: <FleetSearch search={query.search ?? ""} select={query.select ?? ""} />,
      frames: () => [fleetFrame(chosenNodes(model, query))],
    }),
  },
  node: {
    current: "fleet",
    open(model, { id = "" }) {
      const found = () => {
        const record = isId(id) ? model.nodes.get(id) : undefined;
        if (record !== undefined) return { record, samples: model.samples.get(id) ?? [] };
        throw new XtaskError("not_found", `There is no node '${id.slice(0, 63)}'`, { details: ["see the fleet: /"] });
      };
      found();
      return {
        title: id,
        frames: () => {
          const node = found();
          const recent = newestFirst(model).filter(({ runs }) => Object.hasOwn(runs, id)).slice(0, RECENT_MAX);
          return [nodeFrame(node), offersFrame(node), commandsFrame("recent", recent, false, "What it did of late")];
        },
      };
    },
  },
  commands: {
    current: "commands",
    open: (model, query) => ({
      title: "Commands",
      head: <CommandSearch search={query.search ?? ""} state={query.state ?? ""} node={query.node ?? ""} />,
      frames: () => {
        const filtered = isFiltered(query, ["search", "state", "node"]);
        return [commandsFrame("commands", chosenCommands(model, query), filtered)];
      },
    }),
  },
  command: {
    current: "commands",
    async open(model, { id }) {
      const asked = parse(CommandId, id, "command id");
      const found = async () => {
        const command = await model.command(asked);
        // Whoever has just asked is here before the nodes' word of it is.
        if (command !== undefined || Date.now() - timeOfUlid(asked) < YOUNG_MS) return command;
        throw new XtaskError("not_found", `There is no command ${asked}`, {
          details: ["see all that are kept: /commands"],
        });
      };
      const command = await found();
      return {
        tail: <LogViewer command={asked} />,
        title: command === undefined ? "Asked" : commandWords(command.capability, command.verb, command.input),
        frames: async () => {
          const now = await found();
          return [
            now === undefined
              ? unheardFrame()
              : commandFrame({ command: now, line: await lineOf(now), now: Date.now() }),
          ];
        },
      };
    },
  },
  alerts: {
    current: "alerts",
    open: (model, query) => ({
      title: "Alerts",
      head: <AlertSearch severity={query.severity ?? ""} node={query.node ?? ""} all={query.all ?? ""} />,
      frames: () => {
        const filtered = isFiltered(query, ["severity", "node", "all"]);
        return [alertsFrame({ alerts: chosenAlerts(model, query), filtered, now: Date.now() })];
      },
    }),
  },
  team: {
    current: "team",
    open: (model) => ({
      title: "Together",
      head: <NoteForm />,
      frames: () => [
        notesFrame(model.team.notes),
        hereFrame(model.team.here(Date.now())),
        commandsFrame("asked", newestFirst(model).slice(0, RECENT_MAX), false, "What everybody asked"),
      ],
    }),
  },
};

const RECENT_MAX = 20;
const YOUNG_MS = 60_000;
const LISTED_MAX = 200;

/** The routes of the page. */
export function pageRoutes({ model, datastar, log }: PageOptions): Hono<HttpEnv> {
  const files = staticFiles(datastar);
  const page = (name: string) => async (context: HttpContext) => {
    const view = VIEWS[name] as View;
    const query = { ...context.req.query(), ...context.req.param() };
    const { title, head, tail, frames } = await view.open(model, query);
    const made = await frames();
    const events = `/events?${new URLSearchParams({ ...query, view: name, project: context.get("project") })}`;
    return context.html(
      "<!DOCTYPE html>" + String(
        <Layout
          {...{
            title,
            current: view.current,
            project: context.get("project"),
            nonce: context.get("nonce"),
            files,
            events,
          }}
        >
          {head}
          <div
            class={`view view-${name}`}
            dangerouslySetInnerHTML={{ __html: made.map(({ html }) => html).join("") }}
          />
          {tail}
        </Layout>,
      ),
    );
  };
  return new Hono<HttpEnv>()
    .route("/", files.routes)
    .route("/", logRoutes())
    .route("/", consoleRoutes(model))
    .route("/", metricsRoutes(model))
    .get("/", page("fleet"))
    .get("/nodes/:id", page("node"))
    .get("/commands", page("commands"))
    .get("/commands/:id", page("command"))
    .get("/alerts", page("alerts"))
    .get("/team", page("team"))
    .get("/events", async (context) => {
      const { view: name = "", ...query } = context.req.query();
      const view = Object.hasOwn(VIEWS, name) ? VIEWS[name] : undefined;
      if (view === undefined) throw new XtaskError("not_found", `There is no view '${name.slice(0, 40)}'`);
      const { frames } = await view.open(model, query);
      const { signal } = context.get("caller");
      const place = context.get("streams").take(context.get("caller"));
      const stream = tabStream({
        frames: async () => [...chromeOf(model), ...await frames()],
        onChange: (hear) => model.onChange(hear),
        signal,
        onEnd: () => place[Symbol.dispose](),
        onTrouble: (error) => log(`view ${name}: ${XtaskError.from(error).message}`),
      });
      return context.body(stream, 200, { "content-type": "text/event-stream", "x-accel-buffering": "no" });
    });
}

/** What every page shows beside its view. */
function chromeOf({ nodes, commands, alerts: kept, team }: Model): Frame[] {
  const [all, now] = [[...nodes.values()], Date.now()];
  const alerts = [...kept.values()].filter((alert) => wantsAttention(alert, now)).length;
  const announced = team.notes.findLast(({ to }) => to === "global");
  const chrome = chromeFrame({
    online: all.filter(({ state }) => state !== "offline").length,
    total: all.length,
    running: [...commands.values()].filter(({ runs }) =>
      Object.values(runs).some(({ state }) => !isTerminal(state))
    ).length,
    alerts,
  });
  const lasts = announced !== undefined && now - Date.parse(announced.at) < ANNOUNCED_MS;
  return [chrome, alertsBadge(alerts), announcementFrame(lasts ? announced : undefined)];
}

/** What wants attention first, then the newest first. */
function chosenAlerts({ alerts }: Model, { severity = "", node = "", all = "" }: Query): AlertRecord[] {
  const now = Date.now();
  return [...alerts.values()].filter((alert) =>
    (severity === "" || alert.severity === severity) && (node === "" || alert.node === node) &&
    (all !== "" || alert.resolvedAt === undefined)
  ).sort((a, b) =>
    Number(wantsAttention(b, now)) - Number(wantsAttention(a, now)) || (a.openedAt < b.openedAt ? 1 : -1)
  ).slice(0, LISTED_MAX);
}

function isFiltered(query: Query, names: readonly string[]): boolean {
  return names.some((name) => (query[name] ?? "") !== "");
}

function chosenNodes({ nodes, samples }: Model, { search = "", select = "" }: Query) {
  const all = [...nodes.values()].sort((a, b) => a.id < b.id ? -1 : 1);
  const words = search.toLowerCase().split(/\s+/).filter((word) => word !== "");
  let matches = (_node: typeof all[number]) => true;
  let wrong: { wrong?: string } = {};
  try {
    if (select.trim() !== "") matches = parseSelector(select);
  } catch (error) {
    wrong = { wrong: XtaskError.from(error).message };
    matches = () => false;
  }
  const shown: FleetNode[] = all.filter(matches).filter((node) => {
    const text = [
      node.id,
      node.hostname,
      node.platform.os,
      node.platform.arch,
      node.state,
      ...Object.entries(node.labels).flat(),
      ...node.tasks.map(({ name }) => name),
    ]
      .join(" ").toLowerCase();
    return words.every((word) => text.includes(word));
  }).map((record) => ({ record, samples: samples.get(record.id) ?? [] }));
  return { nodes: shown, total: all.length, ...wrong };
}

function newestFirst({ commands }: Model): CommandRecord[] {
  return [...commands.values()].sort((a, b) => a.id < b.id ? 1 : -1);
}

function chosenCommands(model: Model, { search = "", state = "", node = "" }: Query): CommandRecord[] {
  const wanted = STATES.find((one) => one === state);
  const text = search.toLowerCase();
  return newestFirst(model).filter(({ capability, verb, input, runs }) => {
    const of = Object.entries(runs).filter(([id]) => node === "" || id === node);
    return of.length > 0 && (wanted === undefined || of.some(([, run]) => run.state === wanted)) &&
      commandWords(capability, verb, input).toLowerCase().includes(text);
  }).slice(0, LISTED_MAX);
}
