/**
 * Compiles xtask for this machine and runs the tests of the result, which are not among those of `deno task test`: without a
 * network but loopback where this user may take it away, which on Linux is root.
 */
import process from "node:process";
import { runScript } from "./run_script.ts";

const ROOT = new URL("../", import.meta.url);
const WITHOUT_NETWORK = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];

/** Runs a program to its end and says whether it went well. */
async function good([program = "", ...args]: readonly string[], quiet = false): Promise<boolean> {
  const stdio = quiet ? "null" : "inherit";
  return (await new Deno.Command(program, { args, cwd: ROOT, stdin: "null", stdout: stdio, stderr: stdio }).output())
    .success;
}

await runScript(async () => {
  process.exitCode = 1;
  const deno = Deno.execPath();
  if (!await good([deno, "run", "-A", "scripts/compile.ts"])) return;
  const alone = Deno.build.os === "linux" && Deno.uid() === 0 && await good([...WITHOUT_NETWORK, "true"], true);
  process.stdout.write(
    alone ? "without a network but loopback\n" : "with the network, which cannot be taken away here\n",
  );
  const test = [deno, "test", "-A", "--cached-only", "tests/binary/smoke.ts"];
  if (await good(alone ? [...WITHOUT_NETWORK, ...test] : test)) process.exitCode = 0;
});
