/** Pages for those who are not let in, or have lost their way: no script, nothing to load. */
import { html, raw } from "hono/html";
import { createHash } from "node:crypto";
import type { XtaskError } from "../protocol/error.ts";

type Html = ReturnType<typeof html>;

/** All there is of it: the page's own style is for those who are let in. */
const STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { margin: 0; min-height: 100dvh; display: grid; place-items: center;
  background: light-dark(#f7f7f5, #131417); color: light-dark(#1d1e21, #e8e8e4); }
main { max-width: 32rem; margin: 1rem; padding: 1.5rem 2rem; border-radius: .75rem; overflow-wrap: anywhere;
  border: 1px solid light-dark(#dfdfda, #32353c); background: light-dark(#fff, #1b1d21); }
.brand { margin: 0; font-weight: 700; color: light-dark(#5c5f66, #a3a7b0); }
h1 { margin: .25rem 0 1rem; font-size: 1.375rem; }
pre, code { font: .9375rem ui-monospace, Menlo, Consolas, monospace; }
pre { padding: .625rem .875rem; border-radius: .5rem; background: light-dark(#ecece8, #26292f); overflow: auto; }
a { color: light-dark(#2b57c4, #8fb1ff); display: inline-block; padding: .625rem 0; }
`;

/** What lets a browser take that style, and no other that stands in a page. */
export const PLAIN_STYLE_SOURCE = `'sha256-${createHash("sha256").update(STYLE).digest("base64")}'`;

/** For a browser that nobody is logged in with. */
export function askForLogin(): Html {
  return page(
    "Not logged in",
    html`
      <p>Open this page with a login link. On a machine that reaches this hub, type</p>
      <pre>xtask ui --open</pre>
      <p>or <code>xtask ui</code>, which prints a link to open here. A link works once, for ten minutes.</p>
    `,
  );
}

/** For a login link that is used, expired or not one at all. */
export function linkIsOver(): Html {
  return page(
    "This login link does not work",
    html`
      <p>It has been used, or is older than ten minutes. Get a new one:</p>
      <pre>xtask ui --open</pre>
    `,
  );
}

/** For whatever went wrong where a page was wanted. */
export function errorPage({ message, details }: XtaskError): Html {
  return page(
    message,
    html`
      ${details.map((line) => html`<p>${line}</p>`)}
      <p><a href="/">To the fleet</a></p>
    `,
  );
}

function page(title: string, body: Html): Html {
  return html`
    <!DOCTYPE html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>${title} · xtask</title>
        <link rel="icon" href="data:,">
        <style>${raw(STYLE)}</style>
      </head>
      <body>
        <main>
    <p class="brand">xtask</p>
    <h1>${title}</h1>
    ${body}
        </main>
      </body>
    </html>
  `;
}
