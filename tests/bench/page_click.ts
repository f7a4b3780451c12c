/** From a click in a real browser until the page shows what came of it, against what a person takes for at once. */
import { startBrowser } from "../browser/browser.ts";
import { startFleet } from "../fleet.ts";
import type { Figure, Measurement } from "./measurement.ts";
import { inMs, median } from "./measurement.ts";

/** What is done within this was done at once. */
const AT_ONCE_MS = 100;
const ROUNDS = 31;
const WARM = 3;
const COMMANDS = [
  { words: "which sh --on n1", budget: 1 },
  { words: "task run hello --on n1" },
];
const TASKFILE = JSON.stringify({ version: "3", silent: true, tasks: { hello: { cmds: ["echo hello"] } } });

/** `deno task bench page-click` */
export const pageClick: Measurement = {
  name: "page-click",
  summary: `from a click to the end of its command in the DOM, against ${AT_ONCE_MS} ms`,
  async run(say) {
    await using fleet = await startFleet({ nodes: ["n1"], taskfile: TASKFILE });
    await using browser = await startBrowser();
    await using tab = await browser.open(fleet.up.http.loginLink());
    await tab.page.goto(`${new URL(fleet.up.http.url).origin}/commands`);
    await tab.when("document.documentElement.dataset.link === 'live'");
    await tab.page.evaluate(CLICK);
    const figures: Figure[] = [];
    for (const { words, budget } of COMMANDS) {
      say(words);
      const samples: number[] = [];
      for (let round = -WARM; round < ROUNDS; round++) {
        const ms = await tab.page.evaluate(`clickUntilShown(${JSON.stringify(words)})`) as number;
        if (round >= 0) samples.push(ms);
      }
      figures.push({
        name: `until ${words.split(" --")[0]} has succeeded, against ${AT_ONCE_MS} ms`,
        ratio: median(samples) / AT_ONCE_MS,
        tolerance: 0.6,
        ...(budget === undefined ? {} : { budget }),
        note: inMs(samples),
      });
    }
    return figures;
  },
};

/** Asks as the console does, and resolves with the time until the command's row says that it has succeeded. */
const CLICK = `globalThis.clickUntilShown = async (command) => {
  const begun = performance.now();
  let id;
  const shown = new Promise((resolve) => {
    const look = () => {
      const state = id && document.querySelector("#commands-row-" + id + " .state");
      if (state?.classList.contains("state-succeeded")) {
        observer.disconnect();
        resolve(performance.now() - begun);
      }
    };
    const observer = new MutationObserver(look);
    observer.observe(document.body, { childList: true, subtree: true, attributes: true, characterData: true });
    globalThis.lookAgain = look;
  });
  const answer = await fetch("/api/v1/tasks", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ command }),
  });
  ({ id } = await answer.json());
  globalThis.lookAgain();
  return await shown;
};
// Nothing of it is an answer that the debugger could take over.
undefined`;
