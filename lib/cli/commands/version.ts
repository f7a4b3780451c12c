/** `xtask version` */
import { platformHere } from "../../protocol/platform.ts";
import { VERSION } from "../../protocol/version.ts";
import type { Shell } from "../shell.ts";

/** Prints the version of xtask and of what runs it. */
export function version(this: Shell, { json }: { json: boolean }): void {
  const { os, arch } = platformHere();
  if (json) this.print(JSON.stringify({ version: VERSION, os, arch, deno: Deno.version.deno }));
  else this.print(`xtask ${VERSION} (${os}/${arch}, deno ${Deno.version.deno})`);
}
