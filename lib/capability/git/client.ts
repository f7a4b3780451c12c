/**
 * Calls git so that it asks nobody, runs nothing that a fetched repository brought along, fetches by the allowed ways alone
 * and stays below the node's folder. What a repository fetches are files and commits; its configuration is the node's own, and
 * who may write that may name programs (filters, credential helpers) just as in the Taskfile beside it.
 */
import { dirname } from "node:path";
import { XtaskError } from "../../protocol/error.ts";
import type { ExecOptions, ExecResult, RunContext } from "../define.ts";
import { inside } from "../inside.ts";
import { readAddress } from "./address.ts";

/** In front of every subcommand. It outranks what the repository's own configuration says. */
const SAFE_CONFIG = [
  "core.hooksPath=/dev/null",
  // Programs that git starts as it looks for changes, shows a signature or fetches by a helper.
  "core.fsmonitor=false",
  "log.showSignature=false",
  "protocol.ext.allow=never",
  "submodule.recurse=false",
  // A bare repository among the files of another one brings a configuration of its own.
  "safe.bareRepository=explicit",
  // Tidying in the background would be ended with the run, in the midst of it.
  "gc.autoDetach=false",
  "maintenance.autoDetach=false",
  "advice.detachedHead=false",
].flatMap((setting) => ["-c", setting]);

/** Ways that git may fetch by. */
export type Ways = "network" | "folder";

function safeEnv(dir: string, ways: Ways): Record<string, string> {
  return {
    GIT_TERMINAL_PROMPT: "0",
    // A program that says nothing: an empty answer ends what would be a question.
    GIT_ASKPASS: "true",
    SSH_ASKPASS: "true",
    GCM_INTERACTIVE: "never",
    GIT_SSH_COMMAND: "ssh -oBatchMode=yes",
    GIT_SSH_VARIANT: "ssh",
    GIT_ALLOW_PROTOCOL: ways === "network" ? "https:ssh" : "file",
    GIT_EDITOR: "true",
    GIT_PAGER: "cat",
    // Looking at a repository writes nothing to it.
    GIT_OPTIONAL_LOCKS: "0",
    // It looks for a repository in the folders above, but not above the node's.
    GIT_CEILING_DIRECTORIES: dirname(dir),
    LC_ALL: "C",
  };
}

/** How {@linkcode git} is called. */
export interface GitOptions extends Pick<ExecOptions, "output" | "maxBytes"> {
  /** Absolute, below the node's folder. */
  readonly cwd: string;
  /** @default {"network"} */
  readonly ways?: Ways;
}

/** Runs git. Its exit code is the run's where its output is. */
export function git(args: readonly string[], context: RunContext, options: GitOptions): Promise<ExecResult> {
  const { ways = "network", ...rest } = options;
  const { dir, tools } = context.node;
  if (tools.git === undefined) throw new TypeError("Cannot call git as it was not resolved");
  return context.exec([tools.git, ...SAFE_CONFIG, ...args], { ...rest, env: safeEnv(dir, ways) });
}

/**
 * The top folder of the repository that `dir` lies in.
 *
 * @throws {XtaskError} `invalid` where the folder, the repository's files or its data lie outside the node's folder,
 * `not_found` where there is no repository with files
 */
export async function openRepository(dir: string, context: RunContext): Promise<string> {
  const cwd = await inside(context.node.dir, dir);
  if (!(await Deno.stat(cwd).then(({ isDirectory }) => isDirectory, () => false))) {
    throw new XtaskError("not_found", `There is no folder '${dir}'`);
  }
  const { code, stdout, stderr } = await git(
    ["rev-parse", "--path-format=absolute", "--show-toplevel", "--git-dir", "--git-common-dir"],
    context,
    { cwd, output: "capture" },
  );
  if (code !== 0) {
    throw new XtaskError("not_found", `There is no git repository in '${dir}'`, { details: lastLines(stderr) });
  }
  // A `.git` that is a file, or `core.worktree`, may point anywhere.
  const [top = "", ...data] = stdout.trimEnd().split("\n");
  for (const path of data) await inside(context.node.dir, path);
  return await inside(context.node.dir, top);
}

/**
 * The remote that a repository fetches from, and the ways that its address takes.
 *
 * @param remote As asked for; otherwise the one that the current branch follows, or `origin`
 * @throws {XtaskError} `not_found` for an unknown remote, `invalid` for an address that is not allowed
 */
export async function remoteOf(
  top: string,
  remote: string | undefined,
  context: RunContext,
): Promise<{ name: string; ways: Ways }> {
  const name = remote ?? await followedRemote(top, context) ?? "origin";
  const { code, stdout, stderr } = await git(["remote", "get-url", "--all", "--", name], context, {
    cwd: top,
    output: "capture",
  });
  if (code !== 0) {
    throw new XtaskError("not_found", `The repository has no remote '${name}'`, { details: lastLines(stderr) });
  }
  const kinds = new Set<Ways>();
  for (const address of stdout.trimEnd().split("\n")) {
    const read = readAddress(address, { stored: true });
    // Git takes a path in a repository's configuration as relative to its top.
    if (read.kind === "folder") await inside(context.node.dir, absolute(top, read.path));
    kinds.add(read.kind);
  }
  return { name, ways: kinds.has("network") ? "network" : "folder" };
}

async function followedRemote(top: string, context: RunContext): Promise<string | undefined> {
  const options = { cwd: top, output: "capture" } as const;
  const head = await git(["symbolic-ref", "--quiet", "--short", "HEAD"], context, options);
  if (head.code !== 0) return undefined;
  const followed = await git(["config", "--get", `branch.${head.stdout.trimEnd()}.remote`], context, options);
  return followed.code === 0 ? followed.stdout.trimEnd() : undefined;
}

function absolute(top: string, path: string): string {
  return /^(\/|[A-Za-z]:[\\/]|\\\\)/.test(path) ? path : `${top}/${path}`;
}

/** The last lines that git complained with. */
export function lastLines(text: string): string[] {
  return text.trim().split("\n").filter((line) => line !== "").slice(-5);
}
