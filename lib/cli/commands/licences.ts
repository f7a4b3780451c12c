/** `xtask licences`: the licences of all that is inside. */
import { componentsOf } from "../../../scripts/notice_text.ts";
import type { Shell } from "../shell.ts";

/** A compiled xtask has it beside everything else. */
const NOTICE = new URL(Deno.build.standalone ? "./NOTICE" : "../../../NOTICE", import.meta.url);

/** Prints what is inside and every licence text; with `--json` one component a line. */
export async function licences(this: Shell, { json }: { json: boolean }): Promise<void> {
  const notice = await Deno.readTextFile(NOTICE);
  if (!json) return this.print(notice.trimEnd());
  for (const component of componentsOf(notice)) this.print(JSON.stringify(component));
}
