/** `xtask ui`: a login link to the page that a hub serves; where none does, the page served from here. */
import * as v from "valibot";
import { XtaskError } from "../../protocol/error.ts";
import { Id } from "../../protocol/id.ts";
import { parse, parseJson } from "../../protocol/parse.ts";
import { type Log, startPage } from "../../system.ts";
import { askPage, type PageAnswer } from "../ask_page.ts";
import { openInBrowser } from "../browser.ts";
import { type Context, withoutPassword } from "../contexts.ts";
import type { Shell } from "../shell.ts";
import { untilStopped } from "../signals.ts";
import { styled } from "../terminal.ts";
import { certificateOf, type HttpFlags, httpOptions } from "./http.ts";
import type { FleetFlags } from "./nodes.ts";

/** Flags of `xtask ui`. */
export interface UiFlags extends FleetFlags, HttpFlags {
  readonly open: boolean;
  readonly serve: boolean;
  readonly hub?: string;
  readonly creds?: string;
  readonly project?: string;
  readonly ca?: string;
}

const Link = v.object({ url: v.string(), expiresAt: v.string() });

/** A page that answers does so at once. */
const LINK_MS = 5_000;

/** Prints a login link, or serves the page until it is told to stop. */
export async function ui(this: Shell, flags: UiFlags): Promise<void> {
  const { open, serve, json } = flags;
  const named = namedHub(this, flags);
  const context = named ?? await this.context(flags.context);
  if (context.node !== undefined) {
    throw new XtaskError(
      "invalid",
      `Node '${context.node}' has no page of its own: it is the hub that sees the fleet`,
      {
        details: [
          "open it where the hub runs: xtask ui --open",
          "or join as a person, on the hub's machine: xtask auth invite --role operator",
        ],
      },
    );
  }
  const link = serve || named !== undefined ? undefined : await linkOf(context);
  if (link === undefined) return await servePage(this, context, flags);
  if (json) this.print(JSON.stringify(link));
  else this.print(link.url);
  if (open) await openInBrowser(this, link.url);
  else if (!json) this.note("It works once, for 10 minutes. --open opens it in the browser");
}

/** The hub that was named by its address, where one was. */
function namedHub({ env }: Shell, { hub, creds, project, ca, context }: UiFlags): Context | undefined {
  if (hub === undefined) {
    const alone = Object.entries({ creds, project, ca }).find(([, value]) => value !== undefined);
    if (alone === undefined) return undefined;
    throw new XtaskError("invalid", `--${alone[0]} says more about --hub, which is missing`);
  }
  if (context !== undefined) throw new XtaskError("invalid", "--hub and --context exclude each other");
  const file = creds ?? env.XTASK_NATS_CREDS ?? env.NATS_CREDS;
  if (file === undefined) {
    throw new XtaskError("invalid", "With whose rights?", {
      details: [
        "name the file of a credential: --creds FILE",
        "or join that hub, which makes it a context: xtask auth join --hub URL TOKEN",
      ],
    });
  }
  return {
    name: "--hub",
    url: hub,
    creds: file,
    project: parse(Id, project ?? env.XTASK_PROJECT ?? "default", "project"),
    ...(ca === undefined ? {} : { ca }),
  };
}

/** A new login link of the page that belongs to the context; undefined where there is none that answers. */
async function linkOf({ http, token, ca }: Context): Promise<v.InferOutput<typeof Link> | undefined> {
  if (http === undefined || token === undefined) return undefined;
  let answer: PageAnswer;
  try {
    answer = await askPage({ http, ...(ca === undefined ? {} : { ca }) }, "/api/v1/login-links", {
      method: "POST",
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(LINK_MS),
    });
  } catch (cause) {
    const reason = reasonOf(cause);
    if (/certificate/i.test(reason)) throw untrusted(http, reason, cause);
    // Nobody listens there any more: the page can be served from here.
    return undefined;
  }
  const { status, text } = answer;
  if (status === 201) return parseJson(Link, text, "login link");
  if (status !== 401) return undefined;
  throw new XtaskError("unauthenticated", `The page at ${http} does not know this token`, {
    details: ["its hub was set up anew: start xtask up again, or use another --context", "or serve one here: --serve"],
  });
}

/** Why there was no answer: one Deno says so itself, another only in what caused it. */
function reasonOf(thrown: unknown): string {
  const { message = "", cause } = thrown as Partial<Error>;
  return cause instanceof Error ? `${message}: ${reasonOf(cause)}` : message;
}

/** It is there, and serving another page beside it would hide what is wrong. */
function untrusted(http: string, reason: string, cause: unknown): XtaskError {
  return new XtaskError("unavailable", `The certificate of ${http} is not trusted here`, {
    details: [
      reason.split(": ").at(-1) ?? reason,
      "name the file of its authority: DENO_CERT=ca.pem xtask ui",
      "or open the link that xtask up printed, or serve a page from here: xtask ui --serve",
    ],
    cause,
  });
}

async function servePage(shell: Shell, context: Context, flags: UiFlags): Promise<void> {
  const { json, open } = flags;
  using stop = untilStopped(shell);
  await using fleet = await shell.connect(context, stop.signal);
  await using page = await startPage({
    ...await httpOptions(shell, flags, { certificate: await certificateOf(flags) }),
    projects: [{ project: context.project, fleet }],
    unready: () => fleet.bus.up ? [] : ["the hub cannot be reached"],
    log: logTo(shell, json),
  });
  const url = page.http.loginLink();
  if (json) shell.print(JSON.stringify({ type: "ready", httpUrl: page.http.url, loginUrl: url, token: page.token }));
  else {
    shell.print(
      `${styled("The page of", "bold", shell.color)} ${withoutPassword(context.url)}, with the rights of ${
        context.name === "--hub" ? context.creds : `context '${context.name}'`
      }`,
    );
    shell.print(`  page   ${styled(url, "bold", shell.color)}    (works once, for 10 minutes)`);
    shell.print(`  token  ${page.token}    (for programs: Authorization: Bearer)`);
  }
  if (open) await openInBrowser(shell, url);
  await stop.until(
    fleet.bus.closed().then((reason) => {
      throw new XtaskError("unavailable", "The connection to the hub is over", { cause: reason });
    }),
  );
}

function logTo(shell: Shell, json: boolean): Log {
  return (part, level, message) => {
    shell.note(json ? JSON.stringify({ at: new Date().toISOString(), level, part, message }) : `${part}: ${message}`);
  };
}
