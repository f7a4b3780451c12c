/** Where programs are on a node, and which version they are. */
import * as v from "valibot";
import { type Capability, defineCapability, type RunContext, verb } from "./define.ts";
import { findExecutable, type FindOptions } from "./find_executable.ts";
import { ASKED_TOOLS, versionOf } from "./which/version.ts";

const Found = v.object({
  name: v.string(),
  path: v.pipe(v.string(), v.description("Absolute path; symlinks are not resolved")),
  version: v.optional(v.pipe(v.string(), v.description("Only of well-known programs"))),
});
type Found = v.InferOutput<typeof Found>;

/** Versions that are asked for at once. */
const ASKED_AT_ONCE = 4;

const which: Capability = defineCapability({
  name: "which",
  summary: "Find programs on a node",
  tools: ASKED_TOOLS,
  // A name may be any path, so all may be looked at; nothing of a file but its existence is ever told.
  permissions: ({ tools }) => ({ read: true, run: Object.values(tools) }),
  verbs: {
    check: verb({
      summary: "Tell where each program is, and its version where it is well known",
      effect: "read",
      input: v.strictObject({
        names: v.pipe(
          v.array(v.pipe(v.string(), v.minLength(1, "expected a name"), v.maxLength(1_000))),
          v.minLength(1, "expected a name or more"),
          v.maxLength(100),
          v.description("Names looked for on PATH; one with a separator is taken as a path"),
        ),
      }),
      output: v.object({
        found: v.array(Found),
        missing: v.pipe(v.array(v.string()), v.description("Names that are no executable on this node")),
      }),
      cli: { positional: "names", exitCode: (output) => (output as { missing: string[] }).missing.length > 0 ? 1 : 0 },
      async run({ names }, context) {
        const { dir, env, platform: { os } } = context.node;
        const where = {
          path: env.PATH ?? "",
          os,
          dir,
          ...(env.PATHEXT === undefined ? {} : { pathext: env.PATHEXT }),
          ...await quickLook(),
        };
        const looked = [...new Set(names)].map((name) => ({ name, path: findExecutable(name, where) }));
        const found = await withVersions(
          looked.flatMap(({ name, path }) => path === undefined ? [] : { name, path }),
          context,
        );
        const byName = new Map(found.map((entry) => [entry.name, entry]));
        for (const { name } of looked) {
          const { path = "not found", version = "" } = byName.get(name) ?? {};
          context.log(`${name}  ${path}  ${version}`.trimEnd());
        }
        return { found, missing: looked.flatMap(({ name, path }) => path === undefined ? name : []) };
      },
    }),
  },
});
export default which;

let calls = 0;

/** Node's own look at a file, which takes longer to load than a first call may wait: for processes that are asked again. */
async function quickLook(): Promise<Pick<FindOptions, "exists">> {
  return calls++ === 0 ? {} : { exists: (await import("node:fs")).existsSync };
}

async function withVersions(
  programs: readonly { name: string; path: string }[],
  context: RunContext,
): Promise<Found[]> {
  const found: Found[] = programs.map((program) => ({ ...program }));
  const waiting = found.values();
  await Promise.all(Array.from({ length: ASKED_AT_ONCE }, async () => {
    for (const program of waiting) {
      const version = await versionOf(program.path, context);
      if (version !== undefined) program.version = version;
    }
  }));
  return found;
}
