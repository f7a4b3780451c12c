/** The executables that xtask brings along: inside it where it is compiled, else fetched and verified on first use. */
import { asset, type AssetName, cacheFolder, chosenAsset } from "../../scripts/assets.ts";
import type { Shell } from "./shell.ts";

/** The path of an executable; says so when it has to be unpacked or fetched first. */
export async function assetPath(shell: Shell, name: AssetName): Promise<string> {
  const report = (line: string) => shell.note(line);
  if (!Deno.build.standalone) return await asset(name, { report });
  const { unpack }: typeof import("./embedded.ts") = await import("./embedded.ts" as string);
  return await chosenAsset(name) ?? await unpack(name, { cacheDir: cacheFolder((name) => shell.env[name]), report });
}
