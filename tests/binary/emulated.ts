/** The xtask for arm64 in an emulator, which slows it down some thirty times. Run by scripts/tests_of_binary.ts, which compiles it first. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { sha256Hex } from "../../scripts/asset_store.ts";
import { ASSETS } from "../../scripts/assets.ts";
import { temporaryFolder } from "../fleet.ts";

const BINARY = new URL("../../dist/xtask-aarch64-unknown-linux-gnu", import.meta.url).pathname;
/** What runs it: a program and its first arguments. */
const [EMULATOR = "", ...BEFORE] = (Deno.env.get("XTASK_TEST_EMULATOR") ?? "qemu-aarch64").split(" ");

async function run(args: readonly string[], home: string) {
  const { code, stdout, stderr } = await new Deno.Command(EMULATOR, {
    args: [...BEFORE, ...args],
    cwd: home,
    env: { XTASK_HOME: home, NO_COLOR: "1" },
  }).output();
  return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

/** Does the system itself start programs for arm64, by the emulator? */
const registered = () => Deno.stat("/proc/sys/fs/binfmt_misc/qemu-aarch64").then(() => true, () => false);

Deno.test("xtask for arm64 tells its version, finds a program and hands out what was pinned", async () => {
  await using stack = new AsyncDisposableStack();
  const home = await temporaryFolder(stack);
  const version = await run([BINARY, "version"], home);
  assert.match(version.stdout, /^xtask 0\.1\.0 \(linux\/arm64, deno 2\.7\.11\)\n$/, version.stderr);
  const which = await run([BINARY, "which", "sh"], home);
  assert.match(which.stdout, /^sh +\/.*\/sh\n$/, which.stderr);
  await Deno.writeTextFile(
    join(home, "Taskfile.yml"),
    "version: '3'\ntasks: { hello: { cmds: ['echo hello'], silent: true } }\n",
  );
  // Where the system does not ask the emulator when a program starts another, it is unpacked and then tried by itself.
  const task = await run([BINARY, "task", "run", "hello"], home);
  assert.match(task.stderr, /^Unpacking task /);
  if (await registered()) assert.deepEqual([task.code, task.stdout], [0, "hello\n"], task.stderr);
  const assets = join(home, "cache", "assets");
  const [folder] = [...Deno.readDirSync(assets)].map(({ name }) => join(assets, name, "task"));
  assert.equal(await sha256Hex(await Deno.readFile(folder ?? "")), ASSETS.task.sha256["linux-arm64"]);
  assert.match((await run([folder ?? "", "--version"], home)).stdout, /3\.54\.0/);
});
