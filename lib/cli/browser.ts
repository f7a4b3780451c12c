/** Opening a page in this machine's browser. */
import type { Shell } from "./shell.ts";

/** Opens an address by what each system has for it; where that is nothing, says so. */
export async function openInBrowser(shell: Shell, url: string): Promise<void> {
  const [program, ...args] = Deno.build.os === "darwin"
    ? ["open", url]
    : Deno.build.os === "windows"
    ? ["rundll32", "url.dll,FileProtocolHandler", url]
    : ["xdg-open", url];
  try {
    const { success } = await new Deno.Command(program, { args, stdin: "null", stdout: "null", stderr: "null" })
      .output();
    if (success) return;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  shell.note("No browser could be opened from here: open the link above in one");
}
