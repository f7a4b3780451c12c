/** A fleet of two nodes, a browser, and a tab that is logged in: what the tests of the page begin with. */
import { startFleet, type TestFleet } from "../fleet.ts";
import { startBrowser, type Tab, type TestBrowser } from "./browser.ts";

const cmds = (...lines: string[]) => ({ cmds: lines });
const TASKFILE = JSON.stringify({
  version: "3",
  silent: true,
  tasks: {
    hello: { desc: "Says hello", ...cmds("echo hello") },
    lines: cmds("seq -f 'line %.0f' 5000"),
    // On one stream: which of two was written to first nobody can tell.
    fails: cmds("seq 3000", "echo 'error: it does not work'", "seq 100", "exit 1"),
    burst: cmds("echo it waits", "until [ -f go ]; do sleep 0.05; done", "seq -f 'line %.0f' 20000"),
    halves: cmds("echo one", "until [ -f go ]; do sleep 0.05; done", "rm go", "echo two"),
    attempts: cmds("echo attempt $XTASK_ATTEMPT", "until [ -f go ]; do sleep 0.05; done", "rm go"),
    ticks: cmds("i=0; while true; do i=$((i+1)); echo tick $i; sleep 0.05; done"),
    hostile: cmds(
      `printf '%s\\n' '<script>window.owned=1</script><img src=x onerror="window.owned=1">'`,
      `printf '\\033]0;title\\007\\033[31mred\\033[0m\\033[2Jplain\\n'`,
      `printf '50%%\\r\\revent: datastar-patch-signals\\rdata: signals {x: (window.owned=1)}\\r\\r\\n'`,
      "echo done",
    ),
  },
});

/** Starts it all. */
export async function ground(): Promise<{ fleet: TestFleet; browser: TestBrowser; tab: Tab } & AsyncDisposable> {
  await using stack = new AsyncDisposableStack();
  const fleet = stack.use(
    await startFleet({ nodes: [{ id: "n1", labels: { room: "<b>'\"" } }, "n2"], taskfile: TASKFILE }),
  );
  const browser = stack.use(await startBrowser());
  const tab = stack.use(await browser.open(fleet.up.http.loginLink()));
  await tab.when(LIVE);
  const owned = stack.move();
  return { fleet, browser, tab, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}

/** The page hears what happens. */
export const LIVE = "document.documentElement.dataset.link === 'live'";
/** The command of the page has ended everywhere. */
export const ENDED =
  "/succeeded|failed|cancelled/.test(document.querySelector('.command-head .state')?.textContent ?? '')";
/** How many lines of output are shown. */
export const LINES = "document.querySelectorAll('#log li').length";

/** Runs a line from the console, by the keyboard alone. */
export async function run({ page, when }: Tab, line: string): Promise<void> {
  await page.keyboard.down("Control");
  await page.keyboard.press("k");
  await page.keyboard.up("Control");
  await when("document.activeElement.id === 'console-words'");
  await page.keyboard.type(line);
  await page.keyboard.press("Enter");
  await when("location.pathname.startsWith('/commands/')");
}
