/** `xtask hub`: a hub process alone, against NATS servers that are there; and what those need. */
import { foreignKeys, openKeyring, type ProjectKeys } from "../../auth/keyring.ts";
import { startCluster } from "../../cluster.ts";
import { nameOf } from "../../hub/leading.ts";
import { clusterConfigText } from "../../nats/server_config.ts";
import { lockFolder } from "../../os/lock.ts";
import { XtaskError } from "../../protocol/error.ts";
import { Id } from "../../protocol/id.ts";
import { parse } from "../../protocol/parse.ts";
import { ADMIN, newCreds } from "../../system.ts";
import type { Shell } from "../shell.ts";
import { untilStopped } from "../signals.ts";
import { styled } from "../terminal.ts";
import { certificateOf, type HttpFlags, httpOptions, knownToken, readPem } from "./http.ts";
import { logTo } from "./log.ts";

/** The context of the hub that runs on this machine; its further projects are `local.{project}`. */
const LOCAL = "local";

/** Flags of `xtask hub`. */
export interface HubFlags extends HttpFlags {
  readonly nats?: string;
  readonly replicas?: number;
  readonly keys?: string;
  readonly creds?: string;
  readonly project?: readonly string[];
  readonly leafPort: number;
  readonly noLeaf: boolean;
  readonly ca?: string;
  readonly json: boolean;
}

/** Runs a hub process against servers that are there, until it is told to stop. */
export async function run(this: Shell, flags: HubFlags): Promise<void> {
  const { json, ca, replicas, noLeaf } = flags;
  const servers = flags.nats ?? this.env.XTASK_NATS_URL;
  if (servers === undefined) {
    throw new XtaskError("invalid", "Which NATS servers shall the hub use?", {
      details: ["name them: xtask hub --nats nats://a:4222,nats://b:4222", "a hub with a server of its own: xtask up"],
    });
  }
  if (replicas !== undefined && ![1, 3, 5].includes(replicas)) {
    throw new XtaskError("invalid", `There cannot be ${replicas} copies`, {
      details: ["expected --replicas 1, 3 or 5"],
    });
  }
  const projects = await projectsOf(this, flags);
  const tlsCa = ca === undefined ? undefined : await readPem(ca);
  const folder = `${this.paths.data}/hub`;
  using stop = untilStopped(this);
  using _lock = await lockFolder(folder, "A hub");
  await using running = await startCluster({
    servers,
    ...(tlsCa === undefined ? {} : { tlsCa }),
    projects,
    ...(replicas === undefined ? {} : { replicas }),
    leafPort: noLeaf ? undefined : flags.leafPort,
    hostname: Deno.hostname(),
    http: {
      ...await httpOptions(this, flags, { certificate: await certificateOf(flags) }),
      ...await knownToken(this, LOCAL),
    },
    sessionsPath: `${folder}/sessions.json`,
    log: logTo(this, json),
  }, stop.signal);
  const { address, http, token } = running;
  // The last one that is saved is the current one.
  for (const keys of projects.toReversed()) {
    const { project } = keys;
    const creds = keys.signs ? newCreds(keys, "admin", ADMIN) : keys.hubCreds();
    const name = keys === projects[0] ? LOCAL : `${LOCAL}.${project}`;
    await this.contexts.save({ name, url: address, http: http.url, token, project }, { creds, ca: tlsCa });
  }
  const states = running.projects.map(({ project, leading }) => ({
    project,
    state: leading.state,
    leader: leading.leader,
  }));
  if (json) {
    const told = { natsUrl: address, httpUrl: http.url, loginUrl: http.loginLink(), replicas: running.replicas };
    this.print(JSON.stringify({ type: "ready", ...told, projects: states }));
  } else {
    this.print(styled(`The hub of ${address}`, "bold", this.color));
    for (const { project, state, leader } of states) {
      const by = state !== "stands by" || leader === undefined ? "" : `: ${nameOf(leader)} leads`;
      this.print(`  project ${project}: ${state}${by}`);
    }
    this.print(`  kept in ${running.replicas === 1 ? "one copy" : `${running.replicas} copies`}`);
    this.print(`  page    ${http.loginLink()}    (works once, for 10 minutes; again: xtask ui --open)`);
  }
  await stop.until(running.failed);
  if (!json) this.note("Stopping: what this process leads goes to another one, if there is one");
}

async function projectsOf(shell: Shell, flags: HubFlags): Promise<readonly [ProjectKeys, ...ProjectKeys[]]> {
  const wanted = (flags.project ?? []).map((id) => parse(Id, id, "project id"));
  if (flags.creds !== undefined) {
    if (flags.keys !== undefined || wanted.length > 1) {
      throw new XtaskError("invalid", "A credential is for one project, and stands in place of keys", {
        details: ["give --creds FILE with one --project ID at most"],
      });
    }
    return [foreignKeys(wanted[0] ?? "default", await readFileOf(flags.creds, "give the file of a credential"))];
  }
  const path = flags.keys ?? `${shell.paths.data}/hub/keys.json`;
  await readFileOf(path, "make keys, and what the servers are to be told: xtask hub config > xtask.conf");
  const { projects } = await openKeyring(path, []);
  const chosen = wanted.map((id) => {
    const keys = projects.find(({ project }) => project === id);
    if (keys !== undefined) return keys;
    throw new XtaskError("not_found", `There are no keys of a project '${id}' in ${path}`, {
      details: [
        `make them: xtask hub config --project ${id} > xtask.conf`,
        "then include that in the configuration of each server again, and reload them",
      ],
    });
  });
  const [first, ...rest] = chosen;
  return first === undefined ? projects : [first, ...rest];
}

async function readFileOf(path: string, advice: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (cause) {
    const missing = cause instanceof Deno.errors.NotFound;
    throw new XtaskError(missing ? "not_found" : "invalid", `${path} ${missing ? "is not there" : "cannot be read"}`, {
      details: [advice],
      cause,
    });
  }
}

/** Flags of `xtask hub config`. */
export interface ConfigFlags {
  readonly keys?: string;
  readonly project?: readonly string[];
  readonly leafPort: number;
}

/** Prints what each server of a cluster must have in its configuration; makes the keys that are missing. */
export async function config(this: Shell, { keys, project = [], leafPort }: ConfigFlags): Promise<void> {
  const path = keys ?? `${this.paths.data}/hub/keys.json`;
  const folder = path.slice(0, path.lastIndexOf("/"));
  if (folder !== "") await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const { trust } = await openKeyring(path, project.map((id) => parse(Id, id, "project id")));
  this.print(clusterConfigText(trust, leafPort));
  this.note(
    `The keys are in ${path}: whoever has them can be any node and anybody. Each hub process needs them: --keys`,
  );
}
