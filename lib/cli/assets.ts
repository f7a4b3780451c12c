/** The executables that xtask brings along: fetched and verified on first use. */
import { asset, type AssetName } from "../../scripts/assets.ts";
import type { Shell } from "./shell.ts";

/** The path of an executable; says so when it has to be fetched first. */
export async function assetPath(shell: Shell, name: AssetName): Promise<string> {
  return await asset(name, { report: (line) => shell.note(line) });
}
