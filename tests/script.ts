/** Scripts that a test puts in a program's place. */
import assert from "node:assert/strict";

/**
 * Writes one for the shell, to be run at once. A child writes it: what other tests of this process start just then would hold
 * a file that is open for writing here, and the system runs no such file ("Text file busy").
 */
export async function writeScript(path: string, text: string): Promise<void> {
  const child = new Deno.Command("sh", {
    args: ["-c", 'cat > "$1" && chmod 755 "$1"', "sh", path],
    stdin: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(`#!/bin/sh\n${text}\n`));
  await writer.close();
  assert.ok((await child.status).success, `${path} cannot be written`);
}
