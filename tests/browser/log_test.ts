import assert from "node:assert/strict";
import type { HTTPRequest, Page } from "puppeteer-core";
import { handBack } from "../moving.ts";
import { until } from "../until.ts";
import { ENDED, ground, LIVE, run } from "./ground.ts";

const LINES_SHOWN = "[...document.querySelectorAll('#log li code')].map((one) => one.textContent).join()";
const STATUS = "document.querySelector('[data-log-status]').textContent";

Deno.test("the viewer shows an output to its end, however late answers are, and whichever fails", async (t) => {
  await using all = await ground();
  const { fleet, tab } = all;
  const { page, when, text } = tab;
  const { origin } = new URL(fleet.up.http.url);
  /** Comes to half of an output, of which the page begins by asking for it. */
  const begin = async (line: string) => {
    await page.goto(origin);
    await when(LIVE);
    await run(tab, line);
    await when(`${LINES_SHOWN} === 'one'`);
  };
  /** As {@linkcode begin}, but the answers to what the page asks then are held up. */
  const beginHeld = async (line: string, urlPattern: string) => {
    await begin(line);
    const lines = await answersTo(page, urlPattern);
    await page.reload();
    return lines;
  };
  const goOn = (node: string) => Deno.writeTextFile(`${fleet.node(node).dir}/go`, "");
  /** Resolves when the page has been given an answer, and had a moment to make something of it. */
  const read = async () => {
    await when("performance.getEntriesByType('resource').some(({ name }) => /log\\?.*node=n1/.test(name))");
    await page.evaluate("new Promise((seen) => requestAnimationFrame(() => requestAnimationFrame(seen)))");
  };
  const isWhole = `${LINES_SHOWN} === 'one,two' && ${STATUS} === 'lines 1–2 of 2, ended'`;

  await t.step("an answer that is older than what was heard meanwhile takes nothing back", async () => {
    await using lines = await beginHeld("task run halves --on n1", "*/log\\?*");
    const early = await lines.next();
    await goOn("n1");
    await when(`/ended$/.test(${STATUS})`);
    await early.pass();
    await lines.release();
    await read();
    await when(isWhole);
  });

  await t.step("what could not be read is said, and read again", async () => {
    await using lines = await beginHeld("task run halves --on n1", "*/log\\?*");
    await goOn("n1");
    await when(ENDED);
    await (await lines.next()).fail();
    await when("!document.querySelector('[data-log-problem]').hidden");
    await lines.release();
    await when(isWhole);
    assert.equal(await text("[data-log-problem]"), "");
  });

  await t.step("an answer about another node's output than the one that is shown by now is left alone", async () => {
    await using lines = await beginHeld("task run halves --on all", "*/log\\?*node=n1*");
    const early = await lines.next();
    await goOn("n2");
    await page.select("[data-log-node]", "n2");
    await when(isWhole);
    await early.pass();
    await lines.release();
    await read();
    await goOn("n1");
    await when(ENDED);
    await when(isWhole);
    assert.equal(await page.evaluate("document.querySelector('[data-log-node]').value"), "n2");
  });

  await t.step("a tab that nobody sees holds no stream, and shows all when it is seen again", async () => {
    const streams = async () => {
      const headers = { authorization: `Bearer ${fleet.up.token}` };
      const metrics = await (await fetch(`${origin}/metrics`, { headers })).text();
      return Number(/^xtask_event_streams (\d+)$/m.exec(metrics)?.[1]);
    };
    await begin("task run halves --on n1");
    await until("both streams to be open", async () => await streams() === 2);
    await page.evaluate(seen(false));
    await until("no stream to be open", async () => await streams() === 0);
    await goOn("n1");
    await page.evaluate(seen(true));
    await when(isWhole);
    await until("the output's stream to have ended", async () => await streams() === 1);
  });

  await t.step("a tab that is opened where nobody sees it asks for no stream until it is seen", async () => {
    await begin("task run halves --on n1");
    const asked: string[] = [];
    const hear = (request: HTTPRequest) => void asked.push(new URL(request.url()).pathname);
    page.on("request", hear);
    const { identifier } = await page.evaluateOnNewDocument(seen(false));
    await page.reload();
    await page.removeScriptToEvaluateOnNewDocument(identifier);
    page.off("request", hear);
    assert.ok(asked.some((path) => path.startsWith("/commands/")), "the page itself");
    assert.deepEqual(asked.filter((path) => path.endsWith("/events")), []);
    await goOn("n1");
    await page.evaluate(seen(true));
    await when(LIVE);
    await when(isWhole);
  });

  await t.step("another attempt on the same node takes the place of the one before", async () => {
    await page.goto(origin);
    await when(LIVE);
    await run(tab, "task run attempts --any id=n1 --move");
    await when(`${LINES_SHOWN} === 'attempt 1'`);
    await handBack(fleet, "n1");
    await when(`/ended$/.test(${STATUS})`);
    await fleet.start("n1");
    await when(`${LINES_SHOWN} === 'attempt 2' && ${STATUS} === 'lines 1–1 of 1'`);
    await goOn("n1");
    await when(`${LINES_SHOWN} === 'attempt 2' && ${STATUS} === 'lines 1–1 of 1, ended'`);
    const raw = "fetch(document.querySelector('[data-log-raw]').href).then((one) => one.text())";
    assert.equal(await page.evaluate(raw), "attempt 2\n");
  });
  assert.deepEqual(tab.troubles.filter((one) => !/net::ERR_FAILED/.test(one)), []);
});

/** An answer on its way to the page. */
interface Answer {
  pass(): Promise<void>;
  fail(): Promise<void>;
}

/** Holds up the answers to what a page asks at some addresses. */
async function answersTo(page: Page, urlPattern: string) {
  const session = await page.createCDPSession();
  const held: string[] = [];
  session.on("Fetch.requestPaused", ({ requestId }) => void held.push(requestId));
  await session.send("Fetch.enable", { patterns: [{ urlPattern, requestStage: "Response" }] });
  return {
    async next(): Promise<Answer> {
      const requestId = await until("an answer", () => held.shift());
      return {
        // The page may have given it up.
        pass: () => session.send("Fetch.continueRequest", { requestId }).catch(() => {}),
        fail: () => session.send("Fetch.failRequest", { requestId, errorReason: "Failed" }),
      };
    },
    /** Holds up nothing any more. */
    release: () => session.send("Fetch.disable"),
    [Symbol.asyncDispose]: () => session.detach(),
  };
}

/** A script that tells the page that it is seen, or not: a browser without a window shows every tab. */
function seen(isSeen: boolean): string {
  return `
    Object.defineProperty(document, "hidden", { configurable: true, get: () => ${!isSeen} });
    document.dispatchEvent(new Event("visibilitychange"));
  `;
}
