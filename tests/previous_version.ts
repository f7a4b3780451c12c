/** The version before this one, taken out of git, to be run beside it. */
import { cacheFolder } from "../scripts/assets.ts";
import { V8_FLAGS } from "../scripts/v8_flags.ts";
import { surroundings } from "./surroundings.ts";
import type { XtaskOptions } from "./xtask_process.ts";

/** The last commit of the version before this one: nodes were clients alone. To be moved on with each version. */
const COMMIT = "a9d1bb7";

const ROOT = new URL("..", import.meta.url).pathname;

async function git(args: readonly string[]): Promise<Uint8Array | undefined> {
  try {
    const { success, stdout } = await new Deno.Command("git", { args: ["-C", ROOT, ...args], stderr: "null" }).output();
    return success ? stdout : undefined;
  } catch {
    // There is no git here.
    return undefined;
  }
}

/** Why it cannot be had here; undefined where it can. An archive of the sources, or a shallow clone, has no history. */
export const NO_PREVIOUS = await git(["cat-file", "-e", `${COMMIT}^{commit}`]) === undefined
  ? `there is no commit ${COMMIT} here`
  : undefined;

/** Unpacks it into a folder; returns how it is started. */
export async function unpackPrevious(folder: string): Promise<Pick<XtaskOptions, "program" | "env">> {
  const archive = await git(["archive", "--format=tar", COMMIT]);
  if (archive === undefined) throw new Error(`git has no ${COMMIT}`);
  await Deno.mkdir(folder, { recursive: true });
  const tar = new Deno.Command("tar", { args: ["-x", "-C", folder], stdin: "piped" }).spawn();
  const writer = tar.stdin.getWriter();
  await writer.write(archive);
  await writer.close();
  if (!(await tar.status).success) throw new Error("tar cannot unpack it");
  return {
    program: [Deno.execPath(), "run", "-A", V8_FLAGS, `${folder}/main.ts`],
    env: {
      ...surroundings(),
      // What it needs is pinned as it is here, and was fetched before the tests.
      XTASK_CACHE: cacheFolder(),
    },
  };
}
