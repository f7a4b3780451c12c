/** Whether a page is accessible, as far as a program can tell. */
import type { Page } from "puppeteer-core";

let axe: Promise<string> | undefined;

/** What axe-core finds wrong with what the page shows now, a line each. */
export async function violations(page: Page): Promise<string[]> {
  axe ??= Deno.readTextFile(new URL(import.meta.resolve("axe-core/axe.min.js")));
  // The page's policy keeps foreign scripts out; the debugger is not bound by it.
  if (await page.evaluate("typeof axe") === "undefined") await page.evaluate(await axe);
  const found = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })") as {
    violations: { id: string; nodes: { html: string; failureSummary: string }[] }[];
  };
  return found.violations.map(({ id, nodes }) =>
    `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("\n")}`
  );
}
