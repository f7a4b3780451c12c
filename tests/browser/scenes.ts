/**
 * A fleet in which something of everything has happened, and what of the page is worth a look then: what pictures are taken
 * of, and what has to be accessible, to fit, and to be large enough for a finger.
 */
import type { Page } from "puppeteer-core";
import { sendNote } from "../../lib/client/team.ts";
import { relayTo } from "../faults/relay.ts";
import { startFleet, type TestFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { startBrowser, type Tab, type TestBrowser } from "./browser.ts";
import { LIVE } from "./ground.ts";

const TASKFILE = JSON.stringify({
  version: "3",
  silent: true,
  tasks: {
    build: {
      desc: "Compile everything",
      cmds: [
        `for n in 1 2 3 4 5 6; do printf '\\033[1;32m✓\\033[0m compiled part %s\\n' $n; sleep 0.2; done`,
        `printf '\\033[33mwarning\\033[0m: part 4 uses a function that will go\\n' >&2`,
        `echo 6 parts in 1.3 s`,
      ],
    },
    test: { desc: "Run every test", cmds: ["echo 211 passed; echo 'error: 1 failed' >&2; exit 1"] },
    deploy: { desc: "Put it on the machines of a region", cmds: ["sleep 600"] },
  },
});
const leaf = {};
const NODES = [
  { id: "ci-linux-1", labels: { region: "eu-west", tier: "ci" }, leaf },
  { id: "ci-linux-2", labels: { region: "eu-west", tier: "ci" }, leaf },
  { id: "dev-laptop", labels: { owner: "team" } },
  { id: "edge-oslo", labels: { region: "eu-north", tier: "edge" } },
  { id: "edge-porto", labels: { region: "eu-west", tier: "edge" }, leaf },
];
/** A node that nobody has heard of for this long is offline, and that is told a moment later. */
const MISSED_MS = 40_000;

/** What ends has ended by then. */
const END_MS = 30_000;

/** Something to look at: where it is, when it is there, and what to do before. */
export interface Scene {
  readonly name: string;
  readonly path: string;
  readonly when: string;
  readonly act?: (page: Page) => Promise<unknown>;
}

/** The widths that everything is looked at in. */
export const WIDTHS = [
  { name: "desk", width: 1280, height: 800 },
  { name: "phone", width: 375, height: 812 },
] as const;
/** The themes that everything is looked at in. */
export const THEMES = ["light", "dark"] as const;

/** The fleet, the page in a tab that is logged in, and what to look at. */
export interface Stage extends AsyncDisposable {
  readonly fleet: TestFleet;
  readonly browser: TestBrowser;
  readonly tab: Tab;
  readonly origin: string;
  readonly scenes: readonly Scene[];
  /** Ids of commands. */
  readonly commands: Awaited<ReturnType<typeof happenings>>;
  /** Opens a scene in the tab. */
  show(scene: Scene, width: (typeof WIDTHS)[number]["name"]): Promise<void>;
  /** Asks the API; rejects with what it refuses. */
  ask(path: string, body?: unknown): Promise<Record<string, unknown>>;
}

/** Starts it all; something of everything has happened when this resolves. */
export async function startStage(): Promise<Stage> {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(await startFleet({ nodes: NODES, taskfile: TASKFILE, projects: ["default", "shop"] }));
  const link = stack.use(relayTo(fleet.up.server.leafPort ?? 0));
  await fleet.start({ id: "edge-berlin", labels: { region: "eu-central", tier: "edge" }, leaf: { port: link.port } });
  const ask: Stage["ask"] = (path, body) => askOf(fleet, path, body);
  const commands = await happenings(fleet, () => link.cut());
  // Else its nodes would be waited for when they stop.
  stack.defer(async () => {
    for (const id of commands.endless) await ask(`/commands/${id}/cancel`, {});
  });
  const browser = stack.use(await startBrowser());
  const tab = stack.use(await browser.open(fleet.up.http.loginLink()));
  const { origin } = new URL(fleet.up.http.url);
  const owned = stack.move();
  return {
    fleet,
    browser,
    tab,
    origin,
    commands,
    scenes: scenesOf(commands),
    ask,
    async show({ path, when, act }, width) {
      const { name, ...size } = WIDTHS.find((one) => one.name === width)!;
      await tab.page.setViewport({ ...size, hasTouch: name === "phone", isMobile: name === "phone" });
      await tab.page.goto(`${origin}${path}`);
      await tab.when(when);
      await act?.(tab.page);
    },
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

async function happenings(fleet: TestFleet, cutLink: () => void) {
  const asked = async (command: string, waitMs = 0) =>
    String((await askOf(fleet, `/tasks?wait=${waitMs}`, { command })).id);
  const test = await asked("task run test --on ci-linux-2", END_MS);
  const build = await asked("task run build --on tier=ci", END_MS);
  await asked("which sh --on tier!=edge");
  const deploy = await asked("task run deploy --on 'id=dev-laptop|ci-linux-1'");
  const endless = [
    deploy,
    await asked("task run deploy --on dev-laptop"),
    await asked("task run deploy --on dev-laptop"),
  ];
  const nightly = { name: "nightly", cron: "0 3 * * *", capability: "task", verb: "run", input: { args: ["build"] } };
  await askOf(fleet, "/nodes/ci-linux-1/schedule", nightly);
  await askOf(fleet, "/nodes/edge-porto/drain", {});
  const moved = await asked("task run deploy --any id=edge-oslo --move");
  await until("it to run", async () => {
    const { runs } = await askOf(fleet, `/commands/${moved}`) as { runs: Record<string, { state: string }> };
    return runs["edge-oslo"]?.state === "running";
  });
  await fleet.node("edge-oslo").agent[Symbol.asyncDispose]();
  cutLink();
  await until("both to be missed", async () => {
    const nodes = (await askOf(fleet, "/nodes")).nodes as { readonly state: string }[];
    return nodes.filter(({ state }) => state === "offline").length === 2;
  }, { timeoutMs: MISSED_MS });
  const waiting = await asked("task run build --on 'id=edge-berlin|edge-oslo' --queue");
  await fleet.up.hub.alert("warning", "nats-server died and was started again");
  await sendNote(fleet.admin, "default", "team", "edge-oslo gets a new disk; back in ten minutes");
  await sendNote(fleet.admin, "default", "global", "The hub moves to a new machine at 18:00");
  return { test, build, deploy, waiting, moved, endless: [...endless, moved] };
}

function scenesOf({ test, build, deploy, waiting, moved }: Stage["commands"]): readonly Scene[] {
  const has = (selector: string, count = 1) => `${LIVE} && document.querySelectorAll("${selector}").length >= ${count}`;
  const says = (selector: string, words: RegExp) =>
    `${LIVE} && ${words}.test(document.querySelector("${selector}")?.textContent)`;
  const cards = has(".card.node", 6);
  const type = (words: string) => async (page: Page) => {
    await page.click("[data-open-console]");
    await page.keyboard.type(words);
    await page.waitForFunction("document.querySelector('#console-list li, #console-meant li') !== null");
  };
  return [
    // Two samples make a line.
    { name: "fleet", path: "/", when: has(".sparkline polyline", 4) },
    { name: "fleet-nothing", path: "/?search=nowhere", when: has(".empty") },
    { name: "fleet-wrong", path: "/?select=%3D", when: has("#fleet .problem") },
    { name: "topology", path: "/?as=map", when: has(".branch", 6) },
    { name: "node", path: "/nodes/ci-linux-1", when: has("#offers") },
    { name: "node-away", path: "/nodes/edge-berlin", when: has("#offers") },
    { name: "node-draining", path: "/nodes/edge-porto", when: has("#offers") },
    { name: "commands", path: "/commands", when: has("#commands tbody tr", 7) },
    { name: "commands-nothing", path: "/commands?search=nowhere", when: has(".empty") },
    { name: "command", path: `/commands/${build}`, when: says("#log", /6 parts/) },
    { name: "command-failed", path: `/commands/${test}#L2`, when: says("#log", /1 failed/) },
    { name: "command-running", path: `/commands/${deploy}`, when: has(".bar-running", 2) },
    { name: "command-waiting", path: `/commands/${waiting}`, when: has(".bar-waiting", 2) },
    { name: "command-moved", path: `/commands/${moved}`, when: has(".lost li") },
    { name: "metrics", path: "/charts?range=15m", when: has("#charts canvas", 6) },
    { name: "run", path: "/run", when: has("#offered a", 4) },
    { name: "form", path: "/run/silent/exec?on=tier%3Dci", when: says("[data-target-meant]", /Runs on 2 nodes/) },
    { name: "alerts", path: "/alerts", when: has(".alert", 2) },
    { name: "alerts-nothing", path: "/alerts?node=nosuch", when: has(".empty") },
    { name: "team", path: "/team", when: has(".note", 2) },
    { name: "console", path: "/", when: cards, act: type("task run build --on ") },
    { name: "console-meant", path: "/", when: cards, act: type("task run build --on tier=edge --queue") },
    { name: "keys", path: "/", when: cards, act: (page) => page.keyboard.press("?") },
    // A project in which nothing has happened yet.
    { name: "new-fleet", path: "/?project=shop", when: has(".empty") },
    { name: "new-commands", path: "/commands?project=shop", when: has(".empty") },
    { name: "new-run", path: "/run?project=shop", when: has(".empty") },
    { name: "new-alerts", path: "/alerts?project=shop", when: has(".empty") },
    { name: "new-team", path: "/team?project=shop", when: has(".empty") },
    { name: "nothing-here", path: "/nodes/nosuch", when: "/no node/.test(document.querySelector('h1')?.textContent)" },
    {
      name: "login-over",
      path: "/login?token=x",
      when: "/does not work/.test(document.querySelector('h1')?.textContent)",
    },
  ];
}

async function askOf({ up }: TestFleet, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const answer = await fetch(`${up.http.url}/api/v1${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { authorization: `Bearer ${up.token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Error(JSON.stringify(said));
  return said;
}
