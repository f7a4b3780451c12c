/** The executables that xtask brings along: inside it where it is compiled, else fetched and verified on first use. */
import { asset, type AssetName, cacheFolder, chosenAsset, pageScript } from "../../scripts/assets.ts";
import type { Shell } from "./shell.ts";

/** The path of an executable; says so when it has to be unpacked or fetched first. */
export async function assetPath(shell: Shell, name: AssetName): Promise<string> {
  const report = (line: string) => shell.note(line);
  if (!Deno.build.standalone) return await asset(name, { report });
  const { unpack }: typeof import("./embedded.ts") = await import("./embedded.ts" as string);
  return await chosenAsset(name) ?? await unpack(name, { cacheDir: cacheFolder((name) => shell.env[name]), report });
}

/** The text of the page's script. A compiled xtask has it beside the program, as `scripts/compile.ts` put it there. */
export async function pageScriptText(shell: Shell): Promise<string> {
  const report = (line: string) => shell.note(line);
  if (Deno.build.standalone) return await Deno.readTextFile(new URL(`./${PAGE_SCRIPT_FILE}`, import.meta.url));
  return await Deno.readTextFile(await pageScript({ report }));
}

/** The name of the page's script inside a compiled xtask. */
export const PAGE_SCRIPT_FILE = "datastar.js";
