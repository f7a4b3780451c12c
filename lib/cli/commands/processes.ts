/** `xtask up` and `xtask agent`: the processes that stay. */
import { isLoopback } from "../../auth/certificate.ts";
import type { Labels } from "../../protocol/node.ts";
import { Labels as LabelsSchema } from "../../protocol/node.ts";
import { Id, isId, nodeIdFromHostname } from "../../protocol/id.ts";
import { SLOTS_DEFAULT_MIN } from "../../protocol/limits.ts";
import { parse } from "../../protocol/parse.ts";
import { XtaskError } from "../../protocol/error.ts";
import { CAPABILITY_NAMES, type CapabilityName, isCapabilityName } from "../../capability/registry.ts";
import { type NodeOptions, startNode, startUp, type Up } from "../../system.ts";
import { assetPath } from "../assets.ts";
import { openInBrowser } from "../browser.ts";
import type { Shell } from "../shell.ts";
import { certificateOf, type HttpFlags, httpOptions, knownToken, readPem } from "./http.ts";
import { logTo } from "./log.ts";
import { membershipOf } from "./membership.ts";
import { untilStopped } from "../signals.ts";
import { styled } from "../terminal.ts";

/** What can be said about a machine as a node. */
export interface NodeFlags {
  readonly name?: string;
  readonly dir?: string;
  readonly label?: readonly string[];
  readonly slots?: number;
  readonly allow?: readonly string[];
  readonly json: boolean;
}

/** Flags of `xtask up`. */
export interface UpFlags extends NodeFlags, HttpFlags {
  readonly host: string;
  readonly natsPort: number;
  readonly leafPort: number;
  readonly project?: readonly string[];
  readonly noAgent: boolean;
  readonly open: boolean;
}

/** Starts a hub and stays until it is told to stop. */
export async function up(this: Shell, flags: UpFlags): Promise<void> {
  const { host, natsPort, leafPort, noAgent, json } = flags;
  const certificate = await certificateOf(flags);
  if (certificate === undefined && !isLoopback(host)) {
    this.note(`NATS is served on ${host} without TLS: whoever can listen on the network can read commands and output,`);
    this.note("  and whoever can change what is sent can run commands; credentials themselves are never sent");
    this.note("  give --tls-cert and --tls-key, or let nodes come through a tunnel such as WireGuard or SSH");
  }
  const options = await nodeOptions(this, flags);
  using stop = untilStopped(this);
  const running = await startUp({
    ...options,
    home: this.paths.data,
    natsServer: await assetPath(this, "nats-server"),
    host,
    natsPort,
    leafPort,
    ...(certificate === undefined ? {} : { certificate }),
    http: { ...await httpOptions(this, flags, { certificate, host }), ...await knownToken(this, LOCAL) },
    projects: (flags.project ?? []).map((id) => parse(Id, id, "project id")),
    agent: !noAgent,
  }, stop.signal);
  await using stack = new AsyncDisposableStack();
  stack.use(running);
  // The last one that is saved is the current one.
  for (const one of [...running.others, running]) {
    const name = one === running ? LOCAL : `${LOCAL}.${one.project}`;
    const { address: url, http: { url: http }, token } = running;
    const belonging = { creds: one.adminCreds, ca: certificate?.ca };
    await this.contexts.save({ name, url, http, token, project: one.project }, belonging);
  }
  if (json) this.print(JSON.stringify(summaryOf(this, running, options.dir)));
  else this.print(summaryText(this, running, options.dir));
  if (flags.open) await openInBrowser(this, running.http.loginLink());
  await stop.until(running.failed);
  if (!json) this.note("Stopping: no new commands; running ones may finish …");
  await running.agent?.drain(stop.patience);
}

/** The context of this machine's own hub; its further projects are `local.{project}`. */
const LOCAL = "local";

/** Flags of `xtask agent`. */
export interface AgentFlags extends NodeFlags {
  readonly hub?: string;
  readonly join?: string;
  readonly client: boolean;
  readonly ca?: string;
}

/** Makes this machine a node and stays until it is told to stop. */
export async function agent(this: Shell, flags: AgentFlags): Promise<void> {
  const servers = flags.hub ?? this.env.XTASK_NATS_URL;
  if (servers === undefined) {
    throw new XtaskError("invalid", "Which hub shall this machine join?", {
      details: ["give its address: xtask agent --hub nats://HOST:4222 --join TOKEN", "or set XTASK_NATS_URL"],
    });
  }
  const options = await nodeOptions(this, flags);
  const { node } = options;
  const home = `${this.paths.data}/agent`;
  using stop = untilStopped(this);
  const given = flags.ca === undefined ? {} : { tlsCa: await readPem(flags.ca) };
  const { creds, ca, leaf } = await membershipOf(this, { ...flags, servers, node, home, token: flags.join, ...given });
  const late = setTimeout(() => this.note(`Waiting for the hub at ${servers} …`), PATIENCE_NOTE_MS);
  // A token is used by a person who waits; without one this is a machine coming up, whose hub may come up later.
  await using running = await startNode(
    {
      ...options,
      home,
      servers,
      creds,
      patient: flags.join === undefined,
      ...(ca === undefined ? {} : { tls: { ca } }),
      ...(leaf === undefined ? {} : { leaf }),
    },
    stop.signal,
  )
    .finally(() => clearTimeout(late));
  const { localAddress: url } = running;
  if (url !== undefined) {
    const project = leaf?.project ?? "default";
    await this.contexts.save({ name: OWN, url, project, node }, { yielding: true });
  }
  const { capabilities, tasks, slots } = running.record;
  if (flags.json) {
    this.print(
      JSON.stringify({
        type: "ready",
        node,
        hub: servers,
        mode: leaf === undefined ? "client" : "leaf",
        dir: options.dir,
        home,
        capabilities,
        unavailable: running.unavailable,
      }),
    );
  } else {
    this.print(`Node ${styled(node, "bold", this.color)} of ${servers} takes commands`);
    this.print(
      `  offers  ${
        capabilities.map(({ name }) => name).join(", ")
      }; ${tasks.length} task(s) of ${options.dir}; ${slots.total} slots`,
    );
    if (url !== undefined) {
      this.print(`  alone   on this machine it can be asked without the hub too: --context ${OWN}`);
    }
    for (const { name, reason } of running.unavailable) this.print(`  without ${name}: ${reason}`);
  }
  await stop.until(running.failed);
  if (!flags.json) this.note("Stopping: no new commands; running ones may finish …");
  await running.drain(stop.patience);
}

/** The context of a leaf node's own server. */
const OWN = "node";
/** After this long without a hub a person wants to know what is waited for. */
const PATIENCE_NOTE_MS = 3_000;

async function nodeOptions(shell: Shell, flags: NodeFlags): Promise<NodeOptions> {
  const hostname = Deno.hostname();
  const name = flags.name ?? nodeIdFromHostname(hostname);
  const dir = await realFolder(flags.dir ?? shell.cwd);
  const { allow = CAPABILITY_NAMES } = flags;
  const names = allow.flatMap((part) => part.split(",")).map((part) => part.trim());
  for (const one of names) {
    if (isCapabilityName(one)) continue;
    throw new XtaskError("invalid", `There is no capability '${one}'`, {
      details: [`there are ${CAPABILITY_NAMES.join(", ")}`],
    });
  }
  if (!isId(name)) parse(Id, name, "node id");
  const slots = flags.slots ?? Math.max(SLOTS_DEFAULT_MIN, navigator.hardwareConcurrency);
  if (!Number.isInteger(slots) || slots < 1 || slots > 1_000) {
    throw new XtaskError("invalid", `A node cannot have ${slots} slots`, { details: ["expected 1 to 1000"] });
  }
  return {
    node: name,
    dir,
    hostname,
    labels: labelsOf(flags.label ?? []),
    slots,
    allow: names as CapabilityName[],
    known: names.includes("task") ? { task: await assetPath(shell, "task") } : {},
    env: childEnv(shell.env),
    log: logTo(shell, flags.json),
  };
}

/** What would change whose credentials are used, which repository is meant, or what code a program loads. */
const NOT_INHERITED = /^(XTASK_|NATS_|LD_|DYLD_|GIT_DIR$|GIT_WORK_TREE$|GIT_INDEX_FILE$|GIT_CONFIG|INIT_CWD$)/;

/** What children of runs inherit from the agent. Windows writes `Path` as it likes; everybody else looks for `PATH`. */
function childEnv(env: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !NOT_INHERITED.test(name))
      .map(([name, value]) => [/^path(ext)?$/i.test(name) ? name.toUpperCase() : name, value]),
  );
}

function labelsOf(pairs: readonly string[]): Labels {
  const labels = Object.fromEntries(pairs.map((pair) => {
    const at = pair.indexOf("=");
    if (at < 1) throw new XtaskError("invalid", `'${pair}' is no label`, { details: ["expected --label key=value"] });
    return [pair.slice(0, at), pair.slice(at + 1)];
  }));
  return parse(LabelsSchema, labels, "labels");
}

async function realFolder(path: string): Promise<string> {
  try {
    const real = await Deno.realPath(path);
    if ((await Deno.stat(real)).isDirectory) return real;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  throw new XtaskError("not_found", `There is no folder ${path}`, {
    details: ["give the folder of your Taskfile with --dir"],
  });
}

function summaryOf(shell: Shell, { server, address, http, agent, project, others }: Up, dir: string) {
  return {
    type: "ready",
    natsUrl: address,
    leafPort: server.leafPort,
    httpUrl: http.url,
    loginUrl: http.loginLink(),
    node: agent?.record.id,
    project,
    projects: [project, ...others.map((one) => one.project)],
    dir,
    home: shell.paths.data,
  };
}

function summaryText(shell: Shell, running: Up, dir: string): string {
  const { natsUrl, loginUrl, node, projects, home } = summaryOf(shell, running, dir);
  const bold = (text: string) => styled(text, "bold", shell.color);
  const without = (running.agent?.unavailable ?? []).map(({ name, reason }) => `           without ${name}: ${reason}`);
  return [
    `${bold("xtask is up")}`,
    `  NATS     ${bold(natsUrl)}    (for other programs: eval "$(xtask env)")`,
    `  page     ${bold(loginUrl)}    (works once, for 10 minutes; again: xtask ui --open)`,
    node === undefined ? `  node     none (--no-agent)` : `  node     ${bold(node)}, tasks of ${dir}`,
    ...without,
    ...projectLines(projects),
    `  kept in  ${home}`,
    `  try      xtask nodes  ·  xtask task list --on ${node ?? "all"}  ·  add a machine: xtask auth invite`,
  ].join("\n");
}

function projectLines([first, ...others]: readonly string[]): string[] {
  if (others.length === 0) return [`  project  ${first}`];
  return [
    `  projects ${[first, ...others].join(", ")}`,
    `           of all but ${first}: --context ${LOCAL}.${others[0]}${others.length > 1 ? ", …" : ""}`,
  ];
}
