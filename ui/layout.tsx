/** What stands around every view: where one is, where one can go, whether what is shown is live. */
import type { Child } from "hono/jsx";
import type { Frame } from "./frame.ts";

/** Where the page's own files are. */
export interface Files {
  readonly css: string;
  readonly app: string;
  readonly datastar: string;
  readonly log: string;
  /** For views with charts. */
  readonly charts: { readonly css: string; readonly js: string };
}

/** The views of the navigation, in order, with the key that leads there after `g`. */
export const NAVIGATION = [
  { name: "fleet", title: "Fleet", path: "/", key: "f", icon: "M3 4h14v5H3zM3 11h14v5H3zM6 6.5h.01M6 13.5h.01" },
  { name: "commands", title: "Commands", path: "/commands", key: "h", icon: "M4 6l4 4-4 4M10 15h6" },
  { name: "charts", title: "Metrics", path: "/charts", key: "m", icon: "M3 17V3M3 17h14M6 13l3-4 3 2 4-6" },
  { name: "run", title: "Run", path: "/run", key: "r", icon: "M6 4l10 6-10 6z" },
  { name: "alerts", title: "Alerts", path: "/alerts", key: "a", icon: "M10 3l7 13H3zM10 8v4M10 14h.01" },
  {
    name: "team",
    title: "Together",
    path: "/team",
    key: "t",
    icon: "M7 9a3 3 0 100-6 3 3 0 000 6zM2 17c0-3 2-5 5-5s5 2 5 5M13 4a3 3 0 010 5M14 12c2 .5 4 2 4 5",
  },
] as const satisfies readonly { name: string; title: string; path: string; key: string; icon: string }[];

/** Options of {@linkcode Layout}. */
export interface LayoutOptions {
  readonly title: string;
  /** The name of the view in {@linkcode NAVIGATION}. */
  readonly current: string;
  readonly project: string;
  /** All that there are. */
  readonly projects: readonly string[];
  readonly nonce: string;
  readonly files: Files;
  /** Where this view's events come from. */
  readonly events: string;
  /** Whether the view has charts. */
  readonly draws?: boolean | undefined;
  readonly children?: Child;
}

/** What every page keeps up to date beside its view. */
export function chromeFrame({ online, total, running, waiting, alerts }: {
  readonly online: number;
  readonly total: number;
  readonly running: number;
  /** Commands of which no run has begun. */
  readonly waiting: number;
  /** Those that want somebody's attention. */
  readonly alerts: number;
}): Frame {
  const html = String(
    <p id="chrome" class="status-line" data-running={String(running)} data-alerts={String(alerts)}>
      <span>{online} of {total} nodes online</span>
      <span>
        {running === 0 ? "nothing runs" : running === 1 ? "1 command runs" : `${running} commands run`}
        {waiting === 0 ? "" : waiting === 1 ? ", 1 waits" : `, ${waiting} wait`}
      </span>
    </p>,
  );
  return { id: "chrome", parts: [], html };
}

/** That the hub's process does not answer the page, which then shows what it last knew. */
export function awayFrame(linked: boolean): Frame {
  const html = String(
    linked ? <div id="away" hidden></div> : (
      <div id="away" class="problem" role="alert">
        The hub does not answer. What you see may be old; it is asked again every few seconds.
      </div>
    ),
  );
  return { id: "away", parts: [], html };
}

/** A whole page. */
export function Layout({ title, current, project, projects, nonce, files, events, draws, children }: LayoutOptions) {
  // A stream that ends is opened again, for ever; nothing of the page's state is put into its address.
  const stream =
    `@get(el.dataset.events, {retry: 'always', retryMaxCount: 1e9, retryMaxWait: 5000, filterSignals: {include: /^$/}, requestCancellation: 'cleanup'})`;
  return (
    <html lang="en" data-nonce={nonce} data-link="connecting" data-project={project === projects[0] ? "" : project}>
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover" />
        <meta name="color-scheme" content="light dark" />
        <title>{title} · xtask</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href={files.css} />
        {draws && <link rel="stylesheet" href={files.charts.css} />}
        <script nonce={nonce} src={files.app}></script>
        {draws && <script nonce={nonce} src={files.charts.js} defer></script>}
        <script nonce={nonce} src={files.log} defer></script>
        <script nonce={nonce} type="module" src={files.datastar}></script>
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header class="top">
          <a class="brand" href="/" aria-label="xtask, to the fleet">xtask</a>
          <label class="project">
            <span class="visually-hidden">Project</span>
            <select id="project" name="project">
              {projects.map((one) => <option key={one} value={one} selected={one === project}>{one}</option>)}
            </select>
          </label>
          <p id="chrome" class="status-line"></p>
          <p id="link" class="link" role="status" aria-live="polite">
            <span data-link-text>connecting</span>
          </p>
          <button type="button" class="run" data-open-console>
            <span>Run</span> <kbd>Ctrl K</kbd>
          </button>
          <button type="button" class="quiet" data-theme-button aria-label="Theme: as the system">◐</button>
          <button type="button" class="quiet" data-open-keys aria-label="Keys, and logging out">?</button>
        </header>
        <nav class="nav" aria-label="Views">
          <ul>
            {NAVIGATION.map(({ name, title, path, icon, key }) => (
              <li key={name}>
                <a href={path} aria-current={name === current ? "page" : undefined} data-go={key}>
                  <svg viewBox="0 0 20 20" aria-hidden="true">
                    <path d={icon} />
                  </svg>
                  <span>{title}</span>
                  {name === "alerts" && <span id="alerts-badge" class="badge" hidden></span>}
                </a>
              </li>
            ))}
          </ul>
        </nav>
        <main id="main" tabindex={-1}>
          <div id="announcement" hidden></div>
          <h1 id="title">{title}</h1>
          <div id="away" hidden></div>
          <div id="lost" class="problem" role="alert" hidden>
            The connection is lost. What you see may be old; this heals by itself.
          </div>
          <div id="over" class="problem" role="alert" hidden>
            You are logged out here, and what you see may be old. To log in again, type <code>xtask ui --open</code>
            {" "}
            in a terminal.
          </div>
          {children}
        </main>
        <div
          id="live"
          data-events={events}
          {...{ "data-init": `document.hidden || ${stream}`, "data-on:xtask-reopen": stream }}
        >
        </div>
        <Console />
        <Keys />
      </body>
    </html>
  );
}

function Console() {
  return (
    <dialog id="console" aria-labelledby="console-title">
      <form id="console-form" method="dialog">
        <h2 id="console-title" class="visually-hidden">Run a command</h2>
        <input
          id="console-words"
          name="command"
          type="text"
          autocomplete="off"
          autocapitalize="off"
          spellcheck={false}
          role="combobox"
          aria-expanded="true"
          aria-controls="console-list"
          aria-autocomplete="list"
          aria-label="What to run, as after xtask: task build --on all"
          placeholder="task build --on all"
        />
        <ul id="console-list" role="listbox" aria-label="Suggestions"></ul>
        <div id="console-meant" class="reach" role="status"></div>
        <p id="console-problem" class="problem" role="alert" hidden></p>
        <p class="console-foot">
          <span>
            <kbd>Tab</kbd> completes
          </span>
          <span>
            <kbd>↑</kbd>
            <kbd>↓</kbd> choose
          </span>
          <span>
            <kbd>Enter</kbd> runs
          </span>
          <span>
            <kbd>Esc</kbd> closes
          </span>
          <button type="submit" class="run">Run</button>
        </p>
      </form>
    </dialog>
  );
}

const KEYS = [
  {
    title: "Everywhere",
    keys: [
      ["Ctrl K", "Run something"],
      ["/", "Search"],
      ["j k", "Next, previous in a list"],
      ["Enter", "Open"],
      ["Esc", "Close"],
      ["?", "This list"],
    ],
  },
  { title: "Go to", keys: NAVIGATION.map(({ key, title }) => [`g ${key}`, title]) },
  {
    title: "Output",
    keys: [
      ["f", "Follow, or stay"],
      ["G", "To its end, and follow"],
      ["n N", "Next, previous match"],
      ["e", "First error"],
      ["w", "Wrap long lines"],
      ["t", "Times"],
    ],
  },
] as const;

function Keys() {
  return (
    <dialog id="keys" aria-labelledby="keys-title">
      <h2 id="keys-title">Keys</h2>
      <div class="keys">
        {KEYS.map(({ title, keys }) => (
          <section key={title}>
            <h3>{title}</h3>
            <dl>
              {keys.map(([key = "", what]) => (
                <div key={key}>
                  <dt>
                    {key.split(" ").map((one) => <kbd key={one}>{one}</kbd>)}
                  </dt>
                  <dd>{what}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <label class="single-keys">
        <input type="checkbox" id="single-keys" /> Single keys do something
      </label>
      <form method="dialog" class="dialog-foot">
        <button type="button" class="danger" data-post="/logout" data-then="/">Log out</button>
        <button type="submit">Close</button>
      </form>
    </dialog>
  );
}
