/** The npm packages that are inside xtask: where Deno keeps them on this machine, and the licence files they bring along. */
import { join } from "node:path";
import * as v from "valibot";
import { XtaskError } from "../lib/protocol/error.ts";
import { parseJson } from "../lib/protocol/parse.ts";
import { type Component, tidied } from "./notice_text.ts";

const ROOT = new URL("../", import.meta.url);
/** What only tests import. */
export const NOT_SHIPPED: readonly string[] = [
  "fast-check",
  "@sparticuz/chromium",
  "puppeteer-core",
  "axe-core",
  "@seriousme/openapi-schema-validator",
  "ajv",
];

const Lock = v.object({
  specifiers: v.record(v.string(), v.string()),
  npm: v.record(v.string(), v.object({ dependencies: v.optional(v.array(v.string()), []) })),
});
const Package = v.object({ license: v.string() });
const Info = v.object({ npmCache: v.string() });

/** Names of files that tell a licence. */
export const LICENCE_FILE = /^(licen[cs]e|copying|notice|unlicense)\b/i;

/**
 * The packages with their licences.
 *
 * @throws {XtaskError} `unavailable` where one is not in Deno's cache
 */
export async function npmComponents(): Promise<Component[]> {
  const lock = parseJson(Lock, await Deno.readTextFile(new URL("deno.lock", ROOT)), "deno.lock");
  const folders = await packageFolders();
  return await Promise.all(
    shipped(lock).map(async (id) => {
      const [name, version] = split(id);
      const found = folders.map((folder) => join(folder, name, version));
      for (const folder of found) {
        const text = await Deno.readTextFile(join(folder, "package.json")).catch(() => undefined);
        if (text === undefined) continue;
        const { license } = parseJson(Package, text, `package.json of ${id}`);
        return { part: "npm", name, version, licence: license, texts: await licenceFiles(folder) };
      }
      throw new XtaskError("unavailable", `${id} is not in Deno's cache`, { details: ["run: deno install"] });
    }),
  );
}

/** The licence files of a folder, tidied, in the order of their names. */
export async function licenceFiles(folder: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) if (isFile && LICENCE_FILE.test(name)) names.push(name);
  return await Promise.all(names.sort().map(async (name) => tidied(await Deno.readTextFile(join(folder, name)))));
}

/** Ids (`name@version`) of all that the imports lead to, sorted. */
function shipped({ specifiers, npm }: v.InferOutput<typeof Lock>): string[] {
  const seen = new Set<string>();
  const visit = (id: string) => {
    if (seen.has(id)) return;
    seen.add(id);
    for (const dependency of npm[id]?.dependencies ?? []) {
      // The lock leaves out the version where there is only one.
      visit(npm[dependency] ? dependency : Object.keys(npm).find((known) => split(known)[0] === dependency) as string);
    }
  };
  for (const [specifier, version] of Object.entries(specifiers)) {
    const [name] = split(specifier.replace(/^npm:/, ""));
    if (!NOT_SHIPPED.includes(name)) visit(`${name}@${version}`);
  }
  return [...seen].sort();
}

/** Name and version; what the lock adds behind `_` are the peers that it was installed with. */
function split(id: string): [string, string] {
  const own = id.replace(/(?<=@[^@_/]+)_.*$/, "");
  const at = own.lastIndexOf("@");
  return [own.slice(0, at), own.slice(at + 1)];
}

/** One folder for each registry that packages came from. */
async function packageFolders(): Promise<string[]> {
  const { stdout } = await new Deno.Command(Deno.execPath(), { args: ["info", "--json"], cwd: ROOT }).output();
  const { npmCache } = parseJson(Info, new TextDecoder().decode(stdout), "answer of deno info");
  const folders: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(npmCache)) if (isDirectory) folders.push(join(npmCache, name));
  return folders;
}
