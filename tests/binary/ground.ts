/** A machine with nothing on it but the one file: for tests of what people get. */
import { join } from "node:path";
import { targetsFor } from "../../scripts/targets.ts";
import { temporaryFolder } from "../fleet.ts";
import { spawnXtask, xtask, type XtaskProcess } from "../xtask_process.ts";

/** The user whom everybody may be. */
const NOBODY = 65534;
const TASKFILE = `
version: "3"
silent: true
tasks:
  hello: echo hello from $XTASK_NODE
  linger:
    - echo run >> runs
    - setsid sleep 600 & echo begun; wait
`;

/** Where the binary runs. */
export interface Place {
  /** The name of a folder of the ground; it becomes XTASK_HOME. */
  readonly home: string;
  /** PATH. Empty unless it is given. */
  readonly path?: string;
  /** The name of a folder of the ground; it becomes XTASK_CACHE. */
  readonly cache?: string;
}

/** The ground. */
export interface Ground extends AsyncDisposable {
  /** Everything lies below it; its name has spaces and letters beyond ASCII. */
  readonly folder: string;
  /** Has a Taskfile: `hello` prints, `linger` leaves its process group and stays. */
  readonly project: string;
  /** Starts xtask, as a user who is not root; it ends with the ground. */
  start(args: readonly string[], place: Place): Promise<XtaskProcess>;
  /** Runs xtask to its end. */
  run(args: readonly string[], place: Place): ReturnType<typeof xtask>;
  /** Makes a folder that xtask may write to. */
  makeFolder(name: string): Promise<string>;
}

/** Copies the compiled xtask of this machine's target to a folder of its own. */
export async function layGround(): Promise<Ground> {
  await using stack = new AsyncDisposableStack();
  const outer = await temporaryFolder(stack);
  const folder = join(outer, "Müller & Söhne, 工場");
  const project = join(folder, "project");
  const binary = join(folder, "xtask");
  const root = Deno.uid() === 0;
  const makeFolder = async (path: string) => {
    await Deno.mkdir(path, { recursive: true });
    if (root) await Deno.chown(path, NOBODY, NOBODY);
    return path;
  };
  for (const path of [outer, folder, project]) await makeFolder(path);
  await Deno.writeTextFile(join(project, "Taskfile.yml"), TASKFILE);
  const [target] = targetsFor();
  await Deno.copyFile(new URL(`../../dist/xtask-${target?.triple}`, import.meta.url), binary);
  // In full, since it would be looked for on the PATH that is tried.
  const program = root
    ? ["/usr/bin/setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups", "--", binary]
    : [binary];
  const present = (name: string) =>
    Deno.stat(join(folder, name)).then(() => join(folder, name), () => makeFolder(join(folder, name)));
  const options = async ({ home, path = "", cache }: Place) => ({
    program,
    home: await present(home),
    cwd: project,
    env: { PATH: path, ...(cache === undefined ? {} : { XTASK_CACHE: await present(cache) }) },
  });
  const owned = stack.move();
  return {
    folder,
    project,
    makeFolder: (name) => makeFolder(join(folder, name)),
    start: async (args, place) => owned.use(await spawnXtask(args, await options(place))),
    run: async (args, place) => await xtask(args, await options(place)),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
