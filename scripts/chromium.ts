/**
 * The browser that tests look at the page with, unpacked from its npm package into the cache once.
 *
 * The package by itself unpacks to a fixed path below the folder for temporary files, and takes whatever is there already
 * for the whole of it. So it is given a folder of its own, which is renamed when it is complete; one process does so at a
 * time, and a process of its own, so that nobody who starts a browser has its file open for writing.
 *
 * ```sh
 * deno run -A scripts/chromium.ts
 * ```
 *
 * makes it present and prints its path.
 */
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import deno from "../deno.json" with { type: "json" };
import { XtaskError } from "../lib/protocol/error.ts";
import { cacheFolder } from "./assets.ts";
import { runScript } from "./run_script.ts";

const SCRIPT = fileURLToPath(import.meta.url);
const UNFINISHED = "unpack-";

/** Where the package's version is kept; `executable` is there if all of it is. */
function place() {
  const folder = join(cacheFolder(), "browser");
  const whole = join(folder, deno.imports["@sparticuz/chromium"].replace(/^.*\//, ""));
  return { folder, whole, executable: join(whole, "chromium") };
}

const isThere = async (path: string) => await Deno.stat(path).then(() => true, () => false);

/**
 * The path of the browser, unpacked if it is not yet.
 *
 * @throws {XtaskError} `unavailable` if it cannot be unpacked
 */
export async function chromium(): Promise<string> {
  const { executable } = place();
  if (await isThere(executable)) return executable;
  const args = ["run", "-A", "--quiet", SCRIPT];
  const child = new Deno.Command(Deno.execPath(), { args, stdin: "null", stdout: "piped", stderr: "piped" });
  const { success, stderr } = await child.output();
  if (success) return executable;
  throw new XtaskError("unavailable", "Cannot unpack the browser", {
    details: new TextDecoder().decode(stderr).trim().split("\n"),
  });
}

async function unpack(): Promise<string> {
  const { folder, whole, executable } = place();
  await Deno.mkdir(folder, { recursive: true });
  // Held until this process ends, in whatever way.
  using lock = await Deno.open(join(folder, "lock"), { write: true, create: true });
  await lock.lock(true);
  if (await isThere(executable)) return executable;
  for await (const { name } of Deno.readDir(folder)) {
    if (name.startsWith(UNFINISHED)) await Deno.remove(join(folder, name), { recursive: true });
  }
  const unfinished = await Deno.makeTempDir({ dir: folder, prefix: UNFINISHED });
  Deno.env.set("TMPDIR", unfinished);
  const { default: packed } = await import("@sparticuz/chromium");
  await packed.executablePath();
  await Deno.rename(unfinished, whole);
  return executable;
}

if (import.meta.main) await runScript(async () => void process.stdout.write(`${await unpack()}\n`));
