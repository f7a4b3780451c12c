/** Makes of the folder with the executables what can be put at an address as it is, for `install/` to install from. */
import { join } from "node:path";
import { sha256Hex } from "./asset_store.ts";

const INSTALL = new URL("../install/", import.meta.url);
/** The list of what each executable hashes to, in the form of `sha256sum`. */
export const SUMS = "SHA256SUMS";

/** Adds the scripts that install, and the hashes of the executables in the folder. */
export async function layOut(folder: string): Promise<void> {
  for (const name of ["install.sh", "install.ps1"]) await Deno.copyFile(new URL(name, INSTALL), join(folder, name));
  const names: string[] = [];
  for await (const { name, isFile } of Deno.readDir(folder)) if (isFile && name.startsWith("xtask-")) names.push(name);
  const lines: string[] = [];
  // One after another: each is held in memory whole.
  for (const name of names.sort()) lines.push(`${await sha256Hex(await Deno.readFile(join(folder, name)))}  ${name}\n`);
  await Deno.writeTextFile(join(folder, SUMS), lines.join(""));
}
