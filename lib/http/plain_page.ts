/** Pages for those who are not let in, or have lost their way: no script, no style, nothing to load. */
import { html } from "hono/html";
import type { XtaskError } from "../protocol/error.ts";

type Html = ReturnType<typeof html>;

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

/** For a browser that has logged out. */
export function loggedOut(): Html {
  return page("Logged out", html`<p>To come back: <code>xtask ui --open</code></p>`);
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
      </head>
      <body>
        <main>
    <h1>${title}</h1>
    ${body}
        </main>
      </body>
    </html>
  `;
}
