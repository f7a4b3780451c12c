/** The program as plain JavaScript, without anything of its sources, types or packages that it does not use. */
import { join } from "node:path";
import { XtaskError } from "../lib/protocol/error.ts";

const ROOT = new URL("../", import.meta.url);
/** The two places a thread of xtask begins. */
const MAIN = "main.ts";
const WORKER = "lib/capability/worker.ts";
/** What `xtask licences` prints. */
const NOTICE = "NOTICE";

/** What {@linkcode bundle} made. */
export interface Bundle {
  /** The entry, and what it finds only by name at run time. */
  readonly main: string;
  readonly included: readonly string[];
  readonly files: number;
  readonly bytes: number;
}

/**
 * Bundles the command line and the Worker into a folder. Both share their modules, and what a subcommand does not need stays
 * in files that are not read.
 *
 * @param deno The Deno that does it
 */
export async function bundle(deno: string, folder: string, signal: AbortSignal): Promise<Bundle> {
  // Not minified: the minifier drops an `await using` whose value is used once, so that nothing is disposed; and people who
  // report an error send a trace that can be read.
  await run(
    deno,
    ["bundle", "--quiet", "--unstable-raw-imports", "--code-splitting", "--outdir", folder, MAIN, WORKER],
    { signal },
  );
  await loadNodeLate(folder);
  // Modules that both need lie in the folder itself, wherever they came from. There `lib/capability/host.ts` looks for this.
  const worker = join(folder, "worker.js");
  await Deno.writeTextFile(worker, `import "./${WORKER.replace(/\.ts$/, ".js")}";\n`);
  const notice = join(folder, NOTICE);
  await Deno.copyFile(new URL(NOTICE, ROOT), notice);
  const sizes = await sizesIn(folder);
  return {
    main: join(folder, MAIN.replace(/\.ts$/, ".js")),
    included: [worker, notice],
    files: sizes.length,
    bytes: sizes.reduce((sum, size) => sum + size, 0),
  };
}

const REQUIRE = 'import { createRequire as __deno_internal_createRequire } from "node:module";\n' +
  "var __require = __deno_internal_createRequire(import.meta.url);\n";

/**
 * For one `require` of a package, which names a module of Node's own, the bundler has every start load Node's whole loader:
 * 2.5 of the 13 ms that `xtask version` takes beyond an empty program.
 *
 * @throws {XtaskError} `internal` where the bundle is not as expected: by another version of the bundler, or a `require` of
 * something else
 */
async function loadNodeLate(folder: string): Promise<void> {
  let replaced = 0;
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.endsWith(".js")) continue;
    const path = join(folder, name);
    const text = await Deno.readTextFile(path);
    const other = [...text.matchAll(/\b__require\((?!"node:)[^)]*\)/g)][0];
    if (other !== undefined) throw new XtaskError("internal", `The bundle requires what is not in it: ${other[0]}`);
    if (!text.includes(REQUIRE)) continue;
    replaced++;
    await Deno.writeTextFile(
      path,
      text.replace(REQUIRE, "var __require = (name) => process.getBuiltinModule(name);\n"),
    );
  }
  if (replaced !== 1) {
    throw new XtaskError("internal", `The bundle loads Node's loader in ${replaced} places, not in 1`);
  }
}

async function sizesIn(folder: string): Promise<number[]> {
  const sizes: number[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = join(folder, name);
    if (isDirectory) sizes.push(...await sizesIn(path));
    else sizes.push((await Deno.stat(path)).size);
  }
  return sizes;
}

/** Runs Deno in the repository's folder; what it says is shown only if it fails. */
export async function run(
  deno: string,
  args: readonly string[],
  { signal, env = {} }: { signal: AbortSignal; env?: Readonly<Record<string, string>> },
): Promise<void> {
  const { success, stdout, stderr } = await new Deno.Command(deno, {
    args: [...args],
    cwd: ROOT,
    // An older Deno asks only the authorities it brings along, and behind a proxy those of the system are meant.
    env: { NO_COLOR: "1", DENO_TLS_CA_STORE: Deno.env.get("DENO_TLS_CA_STORE") ?? "mozilla,system", ...env },
    signal,
    stdin: "null",
  }).output();
  if (success) return;
  signal.throwIfAborted();
  const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes).trim()).join("\n").trim();
  throw new XtaskError("unavailable", `deno ${args[0]} failed`, { details: said.split("\n").slice(-20) });
}
