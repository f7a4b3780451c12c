/** Repositories below a node's folder. */
import { relative } from "node:path";
import * as v from "valibot";
import { XtaskError } from "../protocol/error.ts";
import { type Capability, defineCapability, type RunContext, verb } from "./define.ts";
import { type Address, folderName, readAddress } from "./git/address.ts";
import { git as call, openRepository, remoteOf, type Ways } from "./git/client.ts";
import { Commit, FORMAT, readHistory } from "./git/history.ts";
import { Branch, Ref, Remote } from "./git/names.ts";
import { readStatus, Status } from "./git/status.ts";
import { inside } from "./inside.ts";

const Exit = v.object({ exitCode: v.number() });
const Folder = v.optional(
  v.pipe(
    v.string(),
    v.maxLength(4_096),
    v.description("The repository, below the node's folder, which it is by default"),
  ),
);
/** A remote's own configuration could name another program, which for a folder's repository would run here. */
const UPLOAD_PACK = "--upload-pack=git-upload-pack";
const ANSWER_BYTES_MAX = 4 * 1024 * 1024;

const git: Capability = defineCapability({
  name: "git",
  summary: "Look after git repositories",
  tools: { git: ["git"] },
  // Reading is for the check that paths do not lead out; git itself reads and writes as the node's user.
  permissions: ({ dir, tools }) => ({ read: [dir], run: Object.values(tools) }),
  defaultVerb: "status",
  verbs: {
    status: verb({
      summary: "Tell branch, commit and what has changed",
      effect: "read",
      input: v.strictObject({ dir: Folder }),
      output: Status,
      cli: { positional: "dir" },
      async run({ dir = "." }, context) {
        const cwd = await openRepository(dir, context);
        const { stdout, truncated } = await answer(["status", "--porcelain=v2", "--branch", "-z"], cwd, context);
        const status = readStatus(stdout, { cut: truncated });
        const { branch = "no branch", head = "no commit", clean, changes } = status;
        context.log(`${branch} at ${head.slice(0, 12)}, ${clean ? "clean" : `${changes.length} changed`}`);
        for (const { state, path } of changes) context.log(`${state}  ${path}`);
        return status;
      },
    }),
    clone: verb({
      summary: "Fetch a repository that is not there yet",
      effect: "change",
      input: v.strictObject({
        url: v.pipe(v.string(), v.minLength(1), v.description("Where from: https, ssh, or a folder below the node's")),
        dir: v.optional(
          v.pipe(
            v.string(),
            v.maxLength(4_096),
            v.description("Where to, below the node's folder; the url's last part by default"),
          ),
        ),
        branch: v.optional(v.pipe(Branch, v.description("The branch or tag to check out"))),
        depth: v.optional(
          v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1_000_000), v.description("So many commits alone")),
        ),
      }),
      output: v.object({
        exitCode: v.number(),
        dir: v.pipe(v.string(), v.description("Relative to the node's folder")),
      }),
      cli: { positional: ["url", "dir"] },
      async run({ url, branch, depth, ...given }, context) {
        const { dir: root } = context.node;
        const { source, ways } = await sourceOf(readAddress(url), root);
        const dir = given.dir ?? folderName(url);
        if (dir === undefined) {
          throw new XtaskError("invalid", "The url does not say what to call the folder", {
            details: ["give the field 'dir'"],
          });
        }
        const target = await inside(root, dir);
        const { code } = await call(
          [
            "clone",
            // Not by links to the other repository's files, which may be changed under our hands.
            "--no-local",
            "--no-recurse-submodules",
            UPLOAD_PACK,
            ...(branch === undefined ? [] : [`--branch=${branch}`]),
            ...(depth === undefined ? [] : [`--depth=${depth}`]),
            "--",
            source,
            target,
          ],
          context,
          { cwd: root, ways },
        );
        return { exitCode: code, dir: relative(root, target) };
      },
    }),
    fetch: verb({
      summary: "Fetch what a remote has, without changing files",
      effect: "change",
      input: v.strictObject({
        dir: Folder,
        remote: v.optional(v.pipe(Remote, v.description("The one that the branch follows, or origin, by default"))),
      }),
      output: Exit,
      cli: { positional: "dir" },
      async run({ dir = ".", remote }, context) {
        const cwd = await openRepository(dir, context);
        const { name, ways } = await remoteOf(cwd, remote, context);
        return await change(["fetch", "--no-recurse-submodules", UPLOAD_PACK, "--", name], cwd, context, ways);
      },
    }),
    checkout: verb({
      summary: "Switch to a branch, a tag or a commit",
      effect: "change",
      input: v.strictObject({
        ref: v.pipe(Ref, v.description("What to switch to")),
        dir: Folder,
        create: v.pipe(v.optional(v.boolean(), false), v.description("Make it a new branch, from the current commit")),
      }),
      output: Exit,
      cli: { positional: "ref" },
      async run({ ref, dir = ".", create }, context) {
        const cwd = await openRepository(dir, context);
        // What stands before `--` is never a file. Git has no way to say that it is no flag either; the schema says it.
        return await change(["checkout", ...(create ? ["-b"] : []), ref, "--"], cwd, context);
      },
    }),
    pull: verb({
      summary: "Bring the branch forward to what it follows; never merges",
      effect: "change",
      input: v.strictObject({ dir: Folder }),
      output: Exit,
      cli: { positional: "dir" },
      async run({ dir = "." }, context) {
        const cwd = await openRepository(dir, context);
        const { name, ways } = await remoteOf(cwd, undefined, context);
        const args = ["pull", "--ff-only", "--no-rebase", "--no-recurse-submodules", UPLOAD_PACK, "--", name];
        return await change(args, cwd, context, ways);
      },
    }),
    log: verb({
      summary: "List commits, newest first",
      effect: "read",
      input: v.strictObject({
        dir: Folder,
        limit: v.pipe(
          v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(200)), 20),
          v.description("At most so many"),
        ),
        ref: v.optional(v.pipe(Ref, v.description("Where to begin; what is checked out by default"))),
      }),
      output: v.object({ commits: v.array(Commit) }),
      cli: { positional: "dir" },
      async run({ dir = ".", limit, ref }, context) {
        const cwd = await openRepository(dir, context);
        const options = { cwd, output: "capture" } as const;
        const start = await call(["rev-parse", "--verify", "--quiet", `${ref ?? "HEAD"}^{commit}`], context, options);
        if (start.code !== 0) {
          if (ref !== undefined) throw new XtaskError("not_found", `The repository has no commit '${ref}'`);
          return { commits: [] };
        }
        const args = ["log", "-z", `--max-count=${limit}`, FORMAT, start.stdout.trimEnd(), "--"];
        const commits = readHistory((await answer(args, cwd, context)).stdout);
        for (const { commit, at, author, subject } of commits) {
          context.log(`${commit.slice(0, 12)}  ${at}  ${author}  ${subject}`);
        }
        return { commits };
      },
    }),
  },
});
export default git;

/** What git is to clone from: a folder by its real path, so that nothing is left to git's own reading of the address. */
async function sourceOf(address: Address, root: string): Promise<{ source: string; ways: Ways }> {
  return address.kind === "network"
    ? { source: address.url, ways: "network" }
    : { source: await inside(root, address.path), ways: "folder" };
}

async function change(
  args: string[],
  cwd: string,
  context: RunContext,
  ways: Ways = "network",
): Promise<{ exitCode: number }> {
  const { code } = await call(args, context, { cwd, ways });
  return { exitCode: code };
}

async function answer(
  args: string[],
  cwd: string,
  context: RunContext,
): Promise<{ stdout: string; truncated: boolean }> {
  const { code, stdout, stderr, truncated } = await call(args, context, {
    cwd,
    output: "capture",
    maxBytes: ANSWER_BYTES_MAX,
  });
  if (code !== 0) {
    throw new XtaskError("internal", `git ${args[0]} ended with ${code}`, {
      details: stderr.trim().split("\n").slice(-5),
    });
  }
  return { stdout, truncated };
}
