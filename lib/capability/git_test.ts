/** Runs the real git on local repositories. For ssh a script stands in, which notes how git calls it. */
import assert from "node:assert/strict";
import * as v from "valibot";
import { writeScript } from "../../tests/script.ts";
import git from "./git.ts";
import { Branch, Ref, Remote } from "./git/names.ts";
import type { Status } from "./git/status.ts";
import { runHere } from "./here.ts";

const UNIX = { ignore: Deno.build.os === "windows" };
const PATH = Deno.env.get("PATH") ?? "";

/** A node's folder with a repository `origin` in it that has two commits, and a folder `outside` beside it. */
class Place implements AsyncDisposable {
  readonly base: string;
  readonly dir: string;
  readonly env: Record<string, string>;

  private constructor(base: string) {
    this.base = base;
    this.dir = `${base}/node`;
    const who = {
      GIT_AUTHOR_NAME: "Ann O'Other",
      GIT_AUTHOR_EMAIL: "a@example.com",
      GIT_AUTHOR_DATE: "2026-01-02T03:04:05Z",
    };
    const committer = { GIT_COMMITTER_NAME: "C", GIT_COMMITTER_EMAIL: "c@example.com" };
    this.env = { PATH: `${base}/bin:${PATH}`, HOME: base, GIT_CONFIG_NOSYSTEM: "1", ...who, ...committer };
  }

  static async create(): Promise<Place> {
    const place = new Place(await Deno.realPath(await Deno.makeTempDir()));
    for (const folder of ["node/origin", "outside", "bin"]) {
      await Deno.mkdir(`${place.base}/${folder}`, { recursive: true });
    }
    await place.git("node/origin", "init", "-q", "-b", "main");
    await place.commit("node/origin", "a.txt", "first");
    await place.commit("node/origin", "b c\n.txt", "second: $(touch pwned) \"'");
    await place.git("node/origin", "branch", "topic", "HEAD~1");
    return place;
  }

  /** Calls git as a person would, in a folder below the base. */
  async git(folder: string, ...args: string[]): Promise<string> {
    const { code, stdout, stderr } = await new Deno.Command("git", {
      args,
      cwd: `${this.base}/${folder}`,
      clearEnv: true,
      env: this.env,
    }).output();
    assert.equal(code, 0, `git ${args.join(" ")}: ${new TextDecoder().decode(stderr)}`);
    return new TextDecoder().decode(stdout).trimEnd();
  }

  async commit(folder: string, file: string, subject: string): Promise<void> {
    await Deno.writeTextFile(`${this.base}/${folder}/${file}`, subject);
    await this.git(folder, "add", "--all");
    await this.git(folder, "commit", "-q", "-m", subject);
  }

  async run(verb: string, input: unknown) {
    let text = "";
    const { data, exitCode } = await runHere(git, verb, input, {
      dir: this.dir,
      env: this.env,
      output: (_, bytes) => text += new TextDecoder().decode(bytes),
    });
    return { data, exitCode, text };
  }

  async status(dir: string): Promise<Status> {
    return (await this.run("status", { dir })).data as Status;
  }

  /** A script that leaves a mark when somebody runs it. */
  async trap(path: string): Promise<string> {
    const file = `${this.base}/${path}`;
    await Deno.mkdir(file.replace(/\/[^/]*$/, ""), { recursive: true });
    await writeScript(file, `echo "$0" >> '${this.base}/sprung'`);
    return file;
  }

  /** The traps that were sprung. */
  async sprung(): Promise<string> {
    return await Deno.readTextFile(`${this.base}/sprung`).catch(() => "");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.base, { recursive: true });
  }
}

Deno.test("git clones, fetches, pulls and switches between branches", UNIX, async () => {
  await using place = await Place.create();
  const cloned = await place.run("clone", { url: "./origin", dir: "work/copy" });
  assert.deepEqual([cloned.data, cloned.exitCode], [{ exitCode: 0, dir: "work/copy" }, 0], cloned.text);
  const before = await place.status("work/copy");
  assert.deepEqual([before.branch, before.upstream, before.behind, before.clean], ["main", "origin/main", 0, true]);

  await place.commit("node/origin", "third", "third");
  assert.deepEqual((await place.run("fetch", { dir: "work/copy" })).data, { exitCode: 0 });
  assert.equal((await place.status("work/copy")).behind, 1);
  assert.deepEqual((await place.run("pull", { dir: "work/copy" })).data, { exitCode: 0 });
  assert.equal((await place.status("work/copy")).head, await place.git("node/origin", "rev-parse", "HEAD"));

  assert.deepEqual((await place.run("checkout", { dir: "work/copy", ref: "topic" })).data, { exitCode: 0 });
  assert.equal((await place.status("work/copy")).branch, "topic");
  await place.run("checkout", { dir: "work/copy", ref: "fix/ünï", create: true });
  assert.equal((await place.status("work/copy")).branch, "fix/ünï");
  await place.run("checkout", { dir: "work/copy", ref: "main~1" });
  assert.equal((await place.status("work/copy")).branch, undefined);
});

Deno.test("git.clone takes a branch and a depth, and fails with git's exit code and words", UNIX, async () => {
  await using place = await Place.create();
  const { exitCode } = await place.run("clone", {
    url: `file://${place.dir}/origin`,
    dir: "one",
    branch: "main",
    depth: 1,
  });
  assert.equal(exitCode, 0);
  const log = await place.run("log", { dir: "one" });
  assert.equal((log.data as { commits: unknown[] }).commits.length, 1);
  const again = await place.run("clone", { url: "./origin", dir: "one" });
  assert.deepEqual([again.exitCode, again.data], [128, { exitCode: 128, dir: "one" }]);
  assert.match(again.text, /already exists/);
});

Deno.test("git.status lists files whatever they are called", UNIX, async () => {
  await using place = await Place.create();
  const origin = `${place.dir}/origin`;
  const names = ["-rf", "a\tb", "line\nbreak", "quote\"'", "ünï", " lead", "# branch.head x"];
  for (const name of names) await Deno.writeTextFile(`${origin}/${name}`, "");
  await Deno.writeTextFile(`${origin}/a.txt`, "changed");
  await place.git("node/origin", "mv", "b c\n.txt", "d e");
  const { changes, clean } = await place.status("origin");
  assert.equal(clean, false);
  assert.deepEqual(changes.filter(({ state }) => state === "untracked").map(({ path }) => path).sort(), names.sort());
  assert.deepEqual(changes.filter(({ state }) => state !== "untracked"), [
    { path: "a.txt", state: "modified" },
    { path: "d e", state: "renamed", from: "b c\n.txt" },
  ]);
});

Deno.test("git.log tells commits as data, none before the first, and refuses unknown ones", UNIX, async () => {
  await using place = await Place.create();
  const { data } = await place.run("log", { dir: "origin", limit: 1 });
  assert.deepEqual(data, {
    commits: [{
      commit: await place.git("node/origin", "rev-parse", "HEAD"),
      author: "Ann O'Other",
      at: "2026-01-02T03:04:05.000Z",
      subject: "second: $(touch pwned) \"'",
    }],
  });
  const topic = await place.run("log", { dir: "origin", ref: "topic" });
  assert.deepEqual((topic.data as { commits: { subject: string }[] }).commits.map(({ subject }) => subject), ["first"]);
  await assert.rejects(place.run("log", { dir: "origin", ref: "no-such" }), { code: "not_found" });
  await Deno.mkdir(`${place.dir}/empty`);
  await place.git("node/empty", "init", "-q", "-b", "main");
  assert.deepEqual((await place.run("log", { dir: "empty" })).data, { commits: [] });
  assert.deepEqual([(await place.status("empty")).branch, (await place.status("empty")).head], ["main", undefined]);
});

Deno.test("git.pull does not merge", UNIX, async () => {
  await using place = await Place.create();
  await place.run("clone", { url: "./origin", dir: "copy" });
  await place.commit("node/origin", "theirs", "theirs");
  await place.commit("node/copy", "ours", "ours");
  const head = (await place.status("copy")).head;
  assert.notEqual((await place.run("pull", { dir: "copy" })).exitCode, 0);
  assert.equal((await place.status("copy")).head, head);
});

Deno.test("git runs no hook and no program that a repository names", UNIX, async () => {
  await using place = await Place.create();
  await place.run("clone", { url: "./origin", dir: "copy" });
  for (const hook of ["post-checkout", "post-merge", "reference-transaction", "pre-auto-gc"]) {
    await place.trap(`node/copy/.git/hooks/${hook}`);
    await place.trap(`node/copy/tracked/${hook}`);
  }
  const trap = await place.trap("trap");
  for (
    const [name, value] of [
      ["core.hooksPath", "tracked"],
      ["core.fsmonitor", trap],
      ["core.sshCommand", trap],
      ["core.askPass", trap],
      ["core.editor", trap],
      ["core.pager", trap],
      ["gpg.program", trap],
      ["log.showSignature", "true"],
      ["remote.origin.uploadpack", trap],
    ] as const
  ) await place.git("node/copy", "config", name, value);
  // A commit with a signature, which `git log` can be told to have checked. Whoever signs is asked for no more than text.
  const lines = ["-----BEGIN PGP SIGNATURE-----", "x", "-----END PGP SIGNATURE-----"].join("' '");
  const sign = `cat > /dev/null; printf '%s\\n' '${lines}'; printf '\\n[GNUPG:] SIG_CREATED \\n' >&2`;
  await writeScript(`${place.base}/sign`, sign);
  await place.git(
    "node/origin",
    "-c",
    `gpg.program=${place.base}/sign`,
    "commit",
    "-q",
    "-S",
    "--allow-empty",
    "-m",
    "s",
  );
  for (
    const [verb, input] of [
      ["status", {}],
      ["fetch", {}],
      ["pull", {}],
      ["log", {}],
      ["checkout", { ref: "topic" }],
      ["checkout", { ref: "new", create: true }],
    ] as const
  ) assert.ok([0, undefined].includes((await place.run(verb, { dir: "copy", ...input })).exitCode), verb);
  assert.equal(await place.sprung(), "");
});

Deno.test("git runs no helper that a remote names, and no folder outside is fetched from", UNIX, async () => {
  await using place = await Place.create();
  await place.run("clone", { url: "./origin", dir: "copy" });
  const trap = await place.trap("trap");
  await place.trap("bin/git-remote-evil");
  await place.git("outside", "init", "-q");
  for (const url of [`ext::${trap}`, `${place.base}/outside`, "../../outside", "http://127.0.0.1:9/a", "-x"]) {
    await place.git("node/copy", "config", "remote.origin.url", url);
    for (const verb of ["fetch", "pull"]) {
      await assert.rejects(place.run(verb, { dir: "copy" }), { code: "invalid" }, `${verb} ${url}`);
    }
  }
  await place.git("node/copy", "config", "remote.origin.url", "https://127.0.0.1:9/a");
  await place.git("node/copy", "config", "remote.origin.vcs", "evil");
  assert.notEqual((await place.run("fetch", { dir: "copy" })).exitCode, 0);
  assert.equal(await place.sprung(), "");
  await assert.rejects(place.run("fetch", { dir: "copy", remote: "nowhere" }), { code: "not_found" });
});

Deno.test("git stays below the node's folder", UNIX, async () => {
  await using place = await Place.create();
  await place.git("outside", "init", "-q");
  await place.git(".", "init", "-q");
  await Deno.symlink(`${place.base}/outside`, `${place.dir}/link`);
  await Deno.mkdir(`${place.dir}/pointer`);
  await Deno.writeTextFile(`${place.dir}/pointer/.git`, `gitdir: ${place.base}/outside/.git\n`);
  await Deno.mkdir(`${place.dir}/plain`);
  for (const dir of ["..", "../outside", "link", "pointer", `${place.base}/outside`]) {
    for (const [verb, input] of [["status", {}], ["log", {}], ["pull", {}], ["checkout", { ref: "main" }]] as const) {
      await assert.rejects(place.run(verb, { dir, ...input }), { code: "invalid" }, `${verb} in ${dir}`);
    }
  }
  // The repository above the node's folder is none of its business.
  for (const dir of ["plain", ".", "missing"]) {
    await assert.rejects(place.run("status", { dir }), { code: "not_found" });
  }
  for (
    const input of [
      { url: "./origin", dir: "../new" },
      { url: "./origin", dir: "link/new" },
      { url: `${place.base}/outside`, dir: "new" },
      { url: "../outside", dir: "new" },
      { url: "./link", dir: "new" },
      { url: `file://${place.base}/outside`, dir: "new" },
    ]
  ) await assert.rejects(place.run("clone", input), { code: "invalid" }, JSON.stringify(input));
});

Deno.test("git does not open a bare repository among a repository's files", UNIX, async () => {
  await using place = await Place.create();
  const trap = await place.trap("trap");
  await place.git("node/origin", "init", "-q", "--bare", "inner");
  await place.git("node/origin/inner", "config", "core.bare", "false");
  await place.git("node/origin/inner", "config", "core.worktree", "..");
  await place.git("node/origin/inner", "config", "core.fsmonitor", trap);
  await assert.rejects(place.run("status", { dir: "origin/inner" }), { code: "not_found" });
  assert.equal(await place.sprung(), "");
});

Deno.test("git lets ssh ask nobody", UNIX, async () => {
  await using place = await Place.create();
  const calls = `${place.base}/calls`;
  await writeScript(`${place.base}/bin/ssh`, `printf '%s\\n' "$@" > '${calls}'\nexit 255`);
  const { exitCode, data } = await place.run("clone", { url: "git@example.com:team/app.git" });
  assert.deepEqual([exitCode, data], [128, { exitCode: 128, dir: "app" }]);
  const args = (await Deno.readTextFile(calls)).trimEnd().split("\n");
  assert.equal(args[0], "-oBatchMode=yes");
  assert.deepEqual(args.slice(-2), ["git@example.com", "git-upload-pack 'team/app.git'"]);
});

Deno.test("git refuses names that are none before it is called", UNIX, async () => {
  await using place = await Place.create();
  for (
    const [verb, input] of [
      ["clone", { url: "ext::sh -c x" }],
      ["clone", { url: "--upload-pack=x" }],
      ["clone", { url: "./origin", dir: "c", branch: "--upload-pack=x" }],
      ["clone", { url: "./origin", dir: "c", depth: 0 }],
      ["clone", { url: "https://example.com/.." }],
      ["checkout", { ref: "--orphan" }],
      ["checkout", { ref: "-" }],
      ["log", { ref: "--output=x" }],
      ["fetch", { remote: "--upload-pack=x" }],
      ["fetch", { remote: "ext::x" }],
      ["fetch", { remote: "https://example.com/a" }],
      ["status", { dir: "origin", more: true }],
    ] as const
  ) await assert.rejects(place.run(verb, input), { code: "invalid" }, `${verb} ${JSON.stringify(input)}`);
});

Deno.test("Names of refs, branches and remotes take git's usual ones and nothing like a flag", () => {
  for (
    const { schema, takes, refuses } of [
      {
        schema: Ref,
        takes: ["main", "v1.2", "HEAD~2", "a/b-c", "main@{1}", "9fceb02^", "fix/ünï", "@{-1}", "a#1"],
        refuses: ["", "-", "--all", "a..b", "a b", "a:b", "a\n", ":/x", "a*", "$(x)", ".a"],
      },
      {
        schema: Branch,
        takes: ["main", "a/b", "v1.0", "fix#1", "x"],
        refuses: ["", "-x", "a..b", "a//b", "a/", "a.", "/a", "a/.b", "a@{1}", "a~1", "a b", "a\n"],
      },
      { schema: Remote, takes: ["origin", "up.stream-1"], refuses: ["", "-o", ".", "a/b", "a:b", "https://x", "a\n"] },
    ]
  ) {
    for (const text of takes) assert.ok(v.is(schema, text), `takes ${JSON.stringify(text)}`);
    for (const text of refuses) assert.ok(!v.is(schema, text), `refuses ${JSON.stringify(text)}`);
  }
});
