/** The folder in which an agent keeps its journal and identity; one agent at a time. */
import { XtaskError } from "../protocol/error.ts";

/**
 * Locks a folder for this process; the lock goes with the process, however that ends.
 *
 * @throws {XtaskError} `conflict` where another process has it, with that process's id
 */
export async function lockFolder(dir: string, what: string): Promise<Disposable> {
  await Deno.mkdir(dir, { recursive: true, mode: 0o700 });
  const path = `${dir}/lock`;
  const file = await Deno.open(path, { read: true, write: true, create: true, mode: 0o600 });
  if (!await file.tryLock(true)) {
    file.close();
    const pid = (await Deno.readTextFile(path)).trim();
    throw new XtaskError("conflict", `${what} already runs in ${dir}${pid === "" ? "" : ` (process ${pid})`}`, {
      details: ["stop it first, or give this one another home with XTASK_HOME"],
    });
  }
  await file.truncate(0);
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  return {
    [Symbol.dispose]: () => {
      file.unlockSync();
      file.close();
    },
  };
}
