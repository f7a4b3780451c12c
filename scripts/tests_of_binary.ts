/**
 * The tests of the compiled xtask: it is made for this machine and tried as it ships, without a network but loopback where
 * this user may take it away, which on Linux is root. Then the whole-system tests start it in place of the source. One for
 * another processor is tried as far as an emulator carries it.
 */
import { join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { findExecutable } from "../lib/capability/find_executable.ts";
import { summed, type Tally, tally } from "./tally.ts";
import { type Target, TARGETS, targetsFor } from "./targets.ts";

const ROOT = new URL("../", import.meta.url);
const TESTS = new URL("tests/", ROOT);
const WITHOUT_NETWORK = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];
/** What a whole-system test imports that starts xtask as a process, or a fleet whose nodes are such. */
const SEAMS = ["xtask_process.ts", "fleet.ts"];
/** What runs a program for arm64 on another Linux. */
const EMULATORS = ["qemu-aarch64", "qemu-aarch64-static"];

const write = (line: string) => void process.stdout.write(`${line}\n`);

/** Makes the binary and runs its tests. One that cannot be made counts as a failure. */
export async function testBinary(): Promise<Tally> {
  if (!await good([Deno.execPath(), "run", "-A", "scripts/compile.ts"])) return { passed: 0, failed: 1, skipped: 0 };
  const alone = Deno.build.os === "linux" && Deno.uid() === 0 &&
    await good([...WITHOUT_NETWORK, "true"], { quiet: true });
  write(alone ? "without a network but loopback" : "with the network, which cannot be taken away here");
  const around = alone ? WITHOUT_NETWORK : [];
  const [target] = targetsFor();
  return summed([
    await tested(["tests/binary/smoke.ts", ...await wholeSystemTests()], {
      around,
      parallel: true,
      env: { XTASK_TEST_PROGRAM: fileURLToPath(new URL(`dist/xtask-${target?.triple}`, ROOT)) },
    }),
    await emulated(),
  ]);
}

/** The one for arm64, on any other Linux with an emulator. */
async function emulated(): Promise<Tally> {
  const arm = TARGETS.find(({ platform }) => platform.os === "linux" && platform.arch === "arm64") as Target;
  const emulator = Deno.build.os === "linux" && Deno.build.arch !== "aarch64"
    ? EMULATORS.map((name) => findExecutable(name, { path: Deno.env.get("PATH") ?? "", os: "linux" })).find(Boolean)
    : undefined;
  // Debian's place for them, unless the emulator's own variable says another.
  const libraries = Deno.env.get("QEMU_LD_PREFIX") ?? "/usr/aarch64-linux-gnu";
  const loader = await Deno.stat(`${libraries}/lib/ld-linux-aarch64.so.1`).catch(() => undefined);
  if (emulator === undefined || loader === undefined) {
    const lacking = emulator === undefined ? EMULATORS.join(" or ") : `C library for it in ${libraries}`;
    write(`skipped: the binary for ${arm.triple}, as there is no ${lacking} here`);
    return { passed: 0, failed: 0, skipped: 1 };
  }
  const compile = [Deno.execPath(), "run", "-A", "scripts/compile.ts", "--target", arm.triple];
  if (!await good(compile)) return { passed: 0, failed: 1, skipped: 0 };
  return await tested(["tests/binary/emulated.ts"], { env: { XTASK_TEST_EMULATOR: `${emulator} -L ${libraries}` } });
}

/** The tests that start xtask as a process, and so can start another one. */
async function wholeSystemTests(): Promise<string[]> {
  const root = fileURLToPath(ROOT);
  const found: string[] = [];
  const visit = async (folder: URL) => {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const file = new URL(isDirectory ? `${name}/` : name, folder);
      if (isDirectory) await visit(file);
      else if (name.endsWith("_test.ts")) {
        const text = await Deno.readTextFile(file);
        if (SEAMS.some((seam) => text.includes(`../${seam}"`))) found.push(relative(root, fileURLToPath(file)));
      }
    }
  };
  await visit(TESTS);
  return found.sort();
}

interface TestedOptions {
  /** What starts Deno, in front of it. */
  readonly around?: readonly string[];
  readonly parallel?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

async function tested(files: readonly string[], { around = [], parallel = false, env = {} }: TestedOptions) {
  const folder = await Deno.makeTempDir();
  try {
    const report = join(folder, "junit.xml");
    // What they are written in is looked at by `deno task ok`.
    const flags = ["-A", "--cached-only", "--no-check", ...(parallel ? ["--parallel"] : []), `--junit-path=${report}`];
    const success = await good([...around, Deno.execPath(), "test", ...flags, ...files], { env });
    return tally(await Deno.readTextFile(report).catch(() => ""), success);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs a program to its end and says whether it went well. */
async function good(
  [program = "", ...args]: readonly string[],
  { quiet = false, env = {} }: { quiet?: boolean; env?: Readonly<Record<string, string>> } = {},
): Promise<boolean> {
  const stdio = quiet ? "null" : "inherit";
  const options = { args, cwd: ROOT, env, stdin: "null", stdout: stdio, stderr: stdio } as const;
  return (await new Deno.Command(program, options).output()).success;
}
