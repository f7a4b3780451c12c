/** `xtask auth`, `context` and `env`: who one is, and where. */
import * as v from "valibot";
import { XtaskError } from "../../protocol/error.ts";
import { Id, nodeIdFromHostname } from "../../protocol/id.ts";
import { parse } from "../../protocol/parse.ts";
import { join as joinHub } from "../../system.ts";
import { withoutPassword } from "../contexts.ts";
import type { Shell } from "../shell.ts";
import { readPem } from "./http.ts";
import { styled, table } from "../terminal.ts";
import type { FleetFlags } from "./nodes.ts";

const Invited = v.object({ token: v.string(), command: v.string(), expiresAt: v.string() });

/** Prints a single-use token for a machine or a person, and the line to paste there. */
export async function invite(
  this: Shell,
  { json, context, role }: FleetFlags & { readonly role: "node" | "operator" },
): Promise<void> {
  await using fleet = await this.connect(context);
  const invited = await fleet.hub("auth", "invite", { role }, Invited);
  if (json) return this.print(JSON.stringify(invited));
  this.note(
    `Paste this on the ${
      role === "node" ? "machine" : "person's machine"
    } that is to join; it works once, until ${invited.expiresAt}:`,
  );
  this.print(invited.command);
  const [, scheme] = /--hub (nats|tls):\/\/(?:127\.|localhost|\[::1\])/.exec(invited.command) ?? [];
  if (scheme === "nats") {
    this.note("The hub listens on this machine alone; for others start it with: xtask up --host 0.0.0.0");
  } else if (scheme === "tls") {
    this.note("The hub's certificate is for this machine alone; others need one with a name that they reach it by");
  }
}

/** Flags of `xtask auth join`. */
export interface JoinFlags {
  readonly hub: string;
  readonly name?: string;
  readonly as: string;
  readonly ca?: string;
  readonly json: boolean;
}

/** Uses an invitation as a person: makes a key here, has it vouched for, and keeps a context. */
export async function join(this: Shell, { hub, name, as, ca, json }: JoinFlags, token: string): Promise<void> {
  const user = parse(Id, name ?? nodeIdFromHostname(this.env.USER ?? this.env.USERNAME ?? "user"), "user id");
  const given = ca === undefined ? {} : { tlsCa: await readPem(ca) };
  const { creds, project, role, ca: trusted } = await joinHub({ servers: hub, token, name: user, ...given });
  if (role === "node") {
    throw new XtaskError("invalid", "This token invites a machine", { details: ["use: xtask agent --join"] });
  }
  const context = await this.contexts.save({ name: as, url: hub, project }, { creds, ca: trusted });
  if (json) this.print(JSON.stringify(context));
  else this.print(`Joined project ${project} as ${user}; context '${as}' is now the current one. See: xtask nodes`);
}

/** Lists the contexts. */
export async function contextList(this: Shell, { json }: { json: boolean }): Promise<void> {
  const [all, current] = [await this.contexts.list(), await this.contexts.current()];
  if (json) {
    return all.forEach((one) =>
      this.print(JSON.stringify({ ...one, url: withoutPassword(one.url), current: one.name === current }))
    );
  }
  if (all.length === 0) {
    return this.note("No contexts yet. Start a hub: xtask up, or join one: xtask auth join --hub URL TOKEN");
  }
  this.print(
    table(
      ["", "CONTEXT", "HUB", "PROJECT"],
      all.map(({ name, url, project }) => [name === current ? "*" : "", name, withoutPassword(url), project]),
    ),
  );
}

/** Makes a context the current one. */
export async function contextUse(this: Shell, { json }: { json: boolean }, name: string): Promise<void> {
  await this.contexts.use(name);
  if (json) return this.print(JSON.stringify({ name, current: true }));
  this.print(`Context ${styled(name, "bold", this.color)} is now the current one`);
}

/** Forgets a context and its credential. */
export async function contextRemove(this: Shell, { json }: { json: boolean }, name: string): Promise<void> {
  await this.contexts.remove(name);
  if (json) return this.print(JSON.stringify({ name, removed: true }));
  this.print(`Context ${name} is forgotten`);
}

/** Prints the environment that other programs reach this fleet with. */
export async function env(
  this: Shell,
  { json, context, shell }: FleetFlags & { readonly shell: "sh" | "fish" | "powershell" },
): Promise<void> {
  const { url, creds, http, token, project, ca } = await this.context(context);
  const values: Record<string, string> = {
    NATS_URL: url,
    ...(creds === undefined ? {} : { NATS_CREDS: creds }),
    ...(ca === undefined ? {} : { NATS_CA: ca }),
    ...(http === undefined ? {} : { XTASK_HTTP_URL: http }),
    ...(token === undefined ? {} : { XTASK_TOKEN: token }),
    XTASK_PROJECT: project,
  };
  if (json) return this.print(JSON.stringify(values));
  for (const [name, value] of Object.entries(values)) this.print(exportLine(shell, name, value));
}

function exportLine(shell: string, name: string, value: string): string {
  if (shell === "fish") return `set -gx ${name} '${value.replaceAll(/['\\]/g, "\\$&")}';`;
  if (shell === "powershell") return `$env:${name} = '${value.replaceAll("'", "''")}'`;
  return `export ${name}='${value.replaceAll("'", `'\\''`)}'`;
}
