/**
 * Takes pictures of the page with a real fleet behind it, into a folder.
 *
 * ```sh
 * deno task screenshots [FOLDER]
 * ```
 */
import { join, resolve } from "node:path";
import process from "node:process";
import { startBrowser, type Tab } from "./browser.ts";
import { sendNote } from "../../lib/client/team.ts";
import { startFleet } from "../fleet.ts";

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
const NODES = [
  { id: "ci-linux-1", labels: { region: "eu-west", tier: "ci" } },
  { id: "ci-linux-2", labels: { region: "eu-west", tier: "ci" } },
  { id: "dev-laptop", labels: { owner: "team" } },
  { id: "edge-berlin", labels: { region: "eu-central", tier: "edge" } },
  { id: "edge-oslo", labels: { region: "eu-north", tier: "edge" } },
  { id: "edge-porto", labels: { region: "eu-west", tier: "edge" } },
];

/** Runs a line from the console and waits for its command's page. */
async function run({ page, when }: Tab, line: string, until: string): Promise<void> {
  await page.click("[data-open-console]");
  await page.keyboard.type(line);
  await page.keyboard.press("Enter");
  await when("location.pathname.startsWith('/commands/')");
  await when(until);
}

const folder = resolve(process.argv[2] ?? "dist/screenshots");
await Deno.mkdir(folder, { recursive: true });
await using fleet = await startFleet({ nodes: NODES, taskfile: TASKFILE });
await using browser = await startBrowser();
await using tab = await browser.open(fleet.up.http.loginLink());
const { page, when } = tab;
const { origin } = new URL(fleet.up.http.url);
const shoot = async (name: string) =>
  void await page.screenshot({ path: join(folder, `${name}.png`) as `${string}.png` });

await when("document.documentElement.dataset.link === 'live'");
await run(tab, "task run deploy --on tier=edge", "document.querySelector('.command-head .state-running') !== null");
const deploying = page.url();
await run(tab, "task run test --on ci-linux-2", "document.querySelector('.command-head .state-failed') !== null");
await page.goto(origin);
// Two samples make a line.
await when("document.querySelectorAll('.sparkline polyline').length === 6");
await shoot("fleet");
await page.goto(`${origin}/nodes/dev-laptop`);
await when("document.querySelector('#offers') !== null");
await shoot("node");
await page.click("[data-open-console]");
await page.keyboard.type("task run build --on ");
await when("document.querySelectorAll('#console-list li').length > 5");
await shoot("console");
await page.keyboard.press("Escape");
await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: "dark" }]);
await run(tab, "task run build --on tier=ci", "document.querySelector('.command-head .state-succeeded') !== null");
await when("/6 parts/.test(document.querySelector('#log').textContent)");
await shoot("command");
await page.goto(`${origin}/commands`);
await when("document.querySelectorAll('#commands tbody tr').length === 3");
await shoot("commands");
// Else its nodes would be waited for when they stop.
await page.goto(deploying);
await page.click("[data-post$=cancel]");
await when("document.querySelector('.command-head .state-cancelled') !== null");
await fleet.node("edge-oslo").agent[Symbol.asyncDispose]();
await fleet.up.hub.alert("warning", "nats-server died and was started again");
await sendNote(fleet.admin, "default", "team", "edge-oslo gets a new disk; back in ten minutes");
await page.goto(`${origin}/alerts`);
await when("document.querySelectorAll('.alert').length === 1");
await shoot("alerts");
await page.goto(`${origin}/team`);
await when("document.querySelectorAll('.note').length === 1");
await shoot("team");
await page.goto(`${origin}/run`);
await when("document.querySelectorAll('#offered a').length > 3");
await shoot("run");
await page.goto(`${origin}/?as=map`);
await when("document.querySelectorAll('.topology a').length === 6");
await shoot("topology");
process.stdout.write(`${folder}\n`);
