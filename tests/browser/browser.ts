/** A real browser: Chromium from npm. */
import { type Browser, type HTTPRequest, launch, type Page } from "puppeteer-core";
import { chromium } from "../../scripts/chromium.ts";
import { until } from "../until.ts";

/** A page of a browser, and what it complained of. */
export interface Tab extends AsyncDisposable {
  readonly page: Page;
  /** Errors of scripts, refusals by the page's policy, requests that failed. */
  readonly troubles: readonly string[];
  /** Waits until an expression in the page is true. */
  when(expression: string): Promise<void>;
  /** The text of an element; empty where there is none. */
  text(selector: string): Promise<string>;
}

/** A running browser. */
export interface TestBrowser extends AsyncDisposable {
  /** Another tab, with the cookies of the others. */
  open(url: string, size?: { readonly width: number; readonly height: number }): Promise<Tab>;
}

/** What a page shows, for whoever reads why a test failed. */
const SHOWN =
  "`${location.href}, ${document.documentElement.dataset.link}: ${document.body.innerText.replace(/\\s+/g, ' ').slice(0, 1000)}`";

const DESKTOP = { width: 1280, height: 800 };

/** Starts a browser. */
export async function startBrowser(): Promise<TestBrowser> {
  const browser: Browser = await launch({
    // Nothing but the machine's own hub is visited, so that its sandbox may be off where there is none. Not with the arguments
    // that its package has for small machines: all in one process it crashes now and then.
    args: ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--font-render-hinting=none"],
    // Without a language of the machine it takes one that no formatter knows.
    env: { ...Deno.env.toObject(), LANG: "en_US.UTF-8", LC_ALL: "en_US.UTF-8" },
    executablePath: await chromium(),
    headless: "shell",
  });
  return {
    async open(url, size = DESKTOP) {
      const page = await browser.newPage();
      await page.setViewport(size);
      const troubles: string[] = [];
      page.on("pageerror", (error) => void troubles.push(`error: ${(error as Error).message}`));
      page.on("console", (message) => {
        if (["error", "warn"].includes(message.type())) troubles.push(`${message.type()}: ${message.text()}`);
      });
      page.on("requestfailed", (request) => {
        if (!isLeft(request)) troubles.push(`failed: ${request.url()}: ${request.failure()?.errorText}`);
      });
      await page.goto(url, { waitUntil: "domcontentloaded" });
      return {
        page,
        troubles,
        async when(expression) {
          try {
            await until(expression, () => page.evaluate(expression).catch(() => false) as Promise<boolean>);
          } catch (error) {
            const shown = await page.evaluate(SHOWN).catch((reason) => `nothing: ${reason}`);
            throw new Error(`${(error as Error).message}; the page shows ${shown}`, { cause: error });
          }
        },
        text: (selector) =>
          page.$eval(selector, (element) => (element as { textContent: string }).textContent).catch(() => ""),
        [Symbol.asyncDispose]: () => page.close(),
      };
    },
    [Symbol.asyncDispose]: () => browser.close(),
  };
}

/** What a page was asking for ends with it, which a browser calls a failure. */
function isLeft(request: HTTPRequest): boolean {
  return request.method() === "GET" && request.failure()?.errorText === "net::ERR_ABORTED";
}
