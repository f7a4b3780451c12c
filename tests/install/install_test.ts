/** install/install.sh as people run it: read from standard input, from a server of the test's own. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { findExecutable } from "../../lib/capability/find_executable.ts";
import { writeScript } from "../script.ts";
import { until } from "../until.ts";
import { PROGRAM, publish } from "./published.ts";

const unix = Deno.build.os !== "windows";
const PATH = Deno.env.get("PATH") ?? "";
const here = (name: string) => findExecutable(name, { path: PATH, os: "linux" });
const test = (name: string, body: () => Promise<void>) => Deno.test({ name, ignore: !unix, fn: body });

test("the line installs what is for this machine, tells of PATH, and leaves nothing else", async () => {
  await using place = await publish();
  const { code, stdout, stderr } = await place.install();
  const to = join(place.home, ".local/bin");
  assert.deepEqual([code, stderr], [0, ""]);
  assert.equal(
    stdout,
    [
      `Fetching ${place.name} from ${place.url}`,
      `Installed xtask 9.9.9 (here) as ${to}/xtask`,
      `${to} is not on PATH. Add this line to the file that your shell reads at its start:`,
      `  export PATH="${to}:$PATH"      # in ~/.profile`,
      "",
    ].join("\n"),
  );
  assert.deepEqual(place.names(".local/bin"), ["xtask"]);
  assert.equal(await Deno.readTextFile(join(to, "xtask")), PROGRAM);
  assert.equal((await Deno.stat(join(to, "xtask"))).mode! & 0o777, 0o755);
});

test("the hint speaks of the user's shell, and is left out where PATH has the folder", async () => {
  await using place = await publish();
  const zsh = await place.install(undefined, { env: { SHELL: "/usr/bin/zsh" } });
  assert.match(zsh.stdout, /# in ~\/\.zshrc\n$/);
  const to = join(place.home, ".local/bin");
  const there = await place.install(undefined, { env: { PATH: `${to}:${PATH}` } });
  assert.match(there.stdout, /\nInstalled .*\n$/);
  const other = join(place.home, "other");
  await place.install(["--from", place.url, "--to", other]);
  const hidden = await place.install(undefined, { env: { PATH: `${other}:${to}:${PATH}` } });
  assert.match(hidden.stdout, new RegExp(`\nBut 'xtask' means ${other}/xtask here: it comes first on PATH\n$`));
});

test("address and folder can come from the environment; a relative folder is one of here", async () => {
  await using place = await publish();
  const { code, stderr } = await place.install([], { env: { XTASK_FROM: `${place.url}/`, XTASK_TO: "my tools" } });
  assert.deepEqual([code, stderr], [0, ""]);
  assert.deepEqual(place.names("my tools"), ["xtask"]);
});

test("a file that is not what the list says is not installed, and the one before stays", async () => {
  await using place = await publish();
  await place.install();
  await Deno.writeTextFile(join(place.folder, place.name), `${PROGRAM}# changed`);
  const { code, stderr } = await place.install();
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^error: xtask-\S+ is not what SHA256SUMS says\n {2}expected [0-9a-f]{64}\n {7}got [0-9a-f]{64}\n {2}nothing was installed\n$/,
  );
  assert.deepEqual(place.names(".local/bin"), ["xtask"]);
  assert.equal(await Deno.readTextFile(join(place.home, ".local/bin/xtask")), PROGRAM);
});

test("a download that breaks off leaves nothing behind", async () => {
  await using place = await publish(PROGRAM + "#".repeat(1_000_000));
  place.halve(place.name, "end");
  const { code, stderr } = await place.install();
  assert.equal(code, 1);
  assert.match(
    stderr,
    /error: http:\S+ did not arrive whole\n {2}try again; what was installed before is as it was\n$/,
  );
  assert.deepEqual(place.names(".local/bin"), []);
});

test("Ctrl-C in the middle of a download leaves nothing behind", async () => {
  await using place = await publish(PROGRAM + "#".repeat(1_000_000));
  place.halve(place.name, "silence");
  let group = 0;
  const installing = place.install(undefined, { onStarted: (pid) => group = pid });
  const half = () => {
    const [name] = place.names(".local/bin");
    return name !== undefined && Deno.statSync(join(place.home, ".local/bin", name)).size > 100_000;
  };
  await until("half of the download", half);
  Deno.kill(-group, "SIGINT");
  assert.notEqual((await installing).code, 0);
  assert.deepEqual(place.names(".local/bin"), []);
});

test("a script that itself arrives cut does nothing, wherever the cut is", async () => {
  await using place = await publish();
  const script = await Deno.readTextFile(join(place.folder, "install.sh"));
  const end = script.lastIndexOf("\nmain ");
  for (let part = 1; part <= 12; part++) {
    await place.install(undefined, { script: script.slice(0, Math.floor(end * part / 12)) });
    assert.deepEqual(place.names("."), [], `cut after ${part} twelfths`);
  }
});

test("a program that does not run here is not installed", async () => {
  await using place = await publish("#!/bin/sh\necho needs GLIBC_2.99 >&2; exit 127\n");
  const { code, stderr } = await place.install();
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^error: xtask-\S+ does not run on this machine: needs GLIBC_2\.99\n {2}nothing was installed\n$/,
  );
  assert.deepEqual(place.names(".local/bin"), []);
});

test("a machine that there is no xtask for is told so, and which there are", async () => {
  await using place = await publish();
  const asked = async (system: string, machine: string) => {
    const fake = join(place.folder, "fake");
    await Deno.mkdir(fake, { recursive: true });
    await writeScript(join(fake, "uname"), `[ "$1" = -s ] && echo ${system} || echo ${machine}`);
    return await place.install(undefined, { env: { PATH: `${fake}:${PATH}` } });
  };
  for (
    const [system, machine, expected] of [
      ["FreeBSD", "amd64", /^error: There is no xtask for FreeBSD\n {2}there is one for Linux, macOS and Windows\n$/],
      ["Linux", "riscv64", /^error: There is no xtask for processors of the kind riscv64\n {2}there is one for/],
      ["MINGW64_NT-10.0", "x86_64", /^error: On Windows use install\.ps1\n/],
      ["Darwin", "arm64", /^error: There is no xtask-aarch64-apple-darwin at http:\S+\n {2}it is not in SHA256SUMS/],
    ] as const
  ) {
    const { code, stderr } = await asked(system, machine);
    assert.equal(code, 1);
    assert.match(stderr, expected);
  }
  assert.deepEqual(place.names("."), []);
});

test("a server that does not answer, or has nothing, is told with its address", async () => {
  await using place = await publish();
  const { code, stderr } = await place.install(["--from", `${place.url}/nothing`]);
  assert.equal(code, 1);
  assert.match(stderr, /error: Cannot fetch http:\S+\/nothing\/SHA256SUMS\n {2}is the address right/);
});

test("a folder that cannot be written is told, without a word of root", async () => {
  await using place = await publish();
  const file = join(place.home, "file");
  await Deno.writeTextFile(file, "");
  const { code, stderr } = await place.install(["--from", place.url, "--to", `${file}/bin`]);
  assert.equal(code, 1);
  assert.equal(stderr, `error: ${file}/bin cannot be written\n  choose another folder: --to FOLDER\n`);
});

test("wrong words are refused with what to say instead", async () => {
  await using place = await publish();
  assert.match((await place.install([])).stderr, /^error: Where shall xtask come from\?\n {2}give the address: --from/);
  assert.match((await place.install(["--form", "x"])).stderr, /^error: There is no option '--form'\n/);
  assert.match((await place.install(["--from"])).stderr, /^error: --from needs a value\n/);
  assert.match((await place.install(["--help"])).stdout, /^usage: install\.sh --from URL/);
});

for (const shell of ["dash", "bash", "busybox", "zsh"]) {
  Deno.test({
    name: `${shell} reads the script as well${here(shell) ? "" : " (it is not here)"}`,
    ignore: here(shell) === undefined,
    async fn() {
      await using place = await publish();
      const { code, stderr } = await place.install(undefined, {
        shell: [shell, ...(shell === "busybox" ? ["sh"] : []), "-s", "--"],
      });
      assert.deepEqual([code, stderr], [0, ""]);
      assert.deepEqual(place.names(".local/bin"), ["xtask"]);
    },
  });
}

/** The least that the script needs, with one way to fetch and one to hash. */
for (const [fetcher, hasher] of [["wget", "shasum"], ["curl", "openssl"]] as const) {
  const absent = [fetcher, hasher].filter((name) => here(name) === undefined);
  Deno.test({
    name: `${fetcher} and ${hasher} are enough${absent.length > 0 ? ` (no ${absent.join(" and ")} here)` : ""}`,
    ignore: absent.length > 0,
    async fn() {
      await using place = await publish();
      const tools = join(place.folder, "tools");
      await Deno.mkdir(tools);
      const names = ["uname", "awk", "mkdir", "mktemp", "chmod", "mv", "rm", "sh", "perl", "cat", fetcher, hasher];
      for (const name of names) {
        const path = here(name);
        if (path !== undefined) await Deno.symlink(path, join(tools, name));
      }
      const { code, stderr } = await place.install(undefined, { env: { PATH: tools } });
      assert.deepEqual([code, stderr], [0, ""]);
    },
  });
}

Deno.test({
  name: `install.ps1 installs, and refuses a file that is not what the list says${
    here("pwsh") ? "" : " (PowerShell is not here)"
  }`,
  ignore: !unix || here("pwsh") === undefined,
  async fn() {
    await using place = await publish();
    const script = join(place.folder, "install.ps1");
    const run = () => {
      const target = place.name.slice("xtask-".length);
      const args = ["-NoProfile", "-File", script, "-From", place.url, "-Target", target];
      return place.install(args, { shell: ["pwsh"], script: "" });
    };
    await Deno.copyFile(join(place.folder, place.name), join(place.folder, `${place.name}.exe`));
    const sums = join(place.folder, "SHA256SUMS");
    await Deno.writeTextFile(sums, (await Deno.readTextFile(sums)).replace(place.name, `${place.name}.exe`));
    const { code, stderr } = await run();
    assert.deepEqual([code, stderr], [0, ""]);
    assert.deepEqual(place.names(".local/bin"), ["xtask.exe"]);
    await Deno.writeTextFile(join(place.folder, `${place.name}.exe`), "changed");
    assert.match((await run()).stderr, /is not what SHA256SUMS says/);
    assert.deepEqual(place.names(".local/bin"), ["xtask.exe"]);
  },
});
