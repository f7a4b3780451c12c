import assert from "node:assert/strict";
import { runHere } from "./here.ts";
import which from "./which.ts";

/** Runs `which.check` with PATH being a fresh folder that holds the given scripts. */
async function check(scripts: Record<string, string>, names: readonly string[], times = 1) {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  try {
    for (const [name, script] of Object.entries(scripts)) {
      await Deno.writeTextFile(`${dir}/${name}`, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    }
    let text = "";
    let data: unknown;
    for (let time = 0; time < times; time++) {
      ({ data } = await runHere(which, "check", { names }, {
        dir,
        env: { PATH: dir },
        output: (_, bytes) => text += new TextDecoder().decode(bytes),
      }));
    }
    const runs = await Deno.readTextFile(`${dir}/runs`).catch(() => "");
    return { dir, data, text, runs };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const UNIX = { ignore: Deno.build.os === "windows" };

Deno.test("which.check tells path and version of a well-known program, and what is missing", UNIX, async () => {
  const { dir, data, text } = await check(
    { go: "echo go version go1.26.8 linux/amd64", java: `echo 'openjdk version "17.0.11" 2024-04-16' >&2` },
    ["go", "nothing", "java", "go"],
  );
  assert.deepEqual(data, {
    found: [
      { name: "go", path: `${dir}/go`, version: "go1.26.8" },
      { name: "java", path: `${dir}/java`, version: "17.0.11" },
    ],
    missing: ["nothing"],
  });
  assert.equal(text, `go  ${dir}/go  go1.26.8\nnothing  not found\njava  ${dir}/java  17.0.11\n`);
});

Deno.test("which.check reads the version out of what real programs print", UNIX, async () => {
  const prints = {
    git: ["git version 2.39.5 (Apple Git-154)", "2.39.5"],
    node: ["v22.11.0", "22.11.0"],
    deno: ["deno 2.9.6 (stable, release, x86_64-unknown-linux-gnu)", "2.9.6"],
    python3: ["Python 3.11.2", "3.11.2"],
    docker: ["Docker version 28.2.2, build e6534b4", "28.2.2"],
    gcc: ["gcc (Debian 12.2.0-14+deb12u1) 12.2.0", "12.2.0"],
    cc: ["Apple clang version 15.0.0 (clang-1500.3.9.4)", "15.0.0"],
    bash: ["GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)", "5.2.15"],
    ruby: ["ruby 3.1.2p20 (2022-04-12 revision 4491bb740a) [x86_64-linux-gnu]", "3.1.2p20"],
    kubectl: ["Client Version: v1.29.0", "1.29.0"],
    helm: ["v3.14.0+gc309b6f", "3.14.0+gc309b6f"],
    "nats-server": ["nats-server: v2.10.7", "2.10.7"],
    ffmpeg: ["ffmpeg version 6.1.1-3ubuntu5 Copyright (c) 2000-2023", "6.1.1-3ubuntu5"],
  } as const;
  const scripts = Object.fromEntries(Object.entries(prints).map(([name, [line]]) => [name, `echo '${line}'`]));
  const { data } = await check(scripts, Object.keys(prints));
  const versions = (data as { found: { name: string; version?: string }[] }).found.map((at) => [at.name, at.version]);
  assert.deepEqual(versions, Object.entries(prints).map(([name, [, version]]) => [name, version]));
});

Deno.test("which.check never starts a program that it does not know", UNIX, async () => {
  const { dir, data, runs } = await check({ deploy: `echo ran >> "\${0%/*}/runs"; echo 1.2.3` }, [
    "deploy",
    "./deploy",
  ]);
  assert.deepEqual(data, {
    found: [{ name: "deploy", path: `${dir}/deploy` }, { name: "./deploy", path: `${dir}/deploy` }],
    missing: [],
  });
  assert.equal(runs, "");
});

Deno.test("which.check has no version of a program that fails, says nothing or hangs", UNIX, async () => {
  const { data } = await check({ git: "echo 2.39.5; exit 1", node: ":", npm: "exec /bin/sleep 60" }, [
    "git",
    "node",
    "npm",
  ]);
  const { found } = data as { found: { name: string; version?: string }[] };
  assert.deepEqual(found.map((at) => [at.name, at.version]), [
    ["git", undefined],
    ["node", undefined],
    ["npm", undefined],
  ]);
});

Deno.test("which.check asks an unchanged program once", UNIX, async () => {
  const { runs } = await check({ git: `echo ran >> "\${0%/*}/runs"; echo git version 2.39.5` }, ["git"], 3);
  assert.equal(runs, "ran\n");
});

Deno.test("which.check refuses an empty list and unknown fields", async () => {
  const options = { dir: "/", env: {}, output: () => {} };
  for (const input of [{ names: [] }, { names: [""] }, { names: ["a"], more: 1 }, {}]) {
    await assert.rejects(runHere(which, "check", input, options), { code: "invalid" });
  }
});

Deno.test("which asks for no permission but to look at files and run the programs that it asks", () => {
  const node = {
    id: "n",
    platform: { os: "linux", arch: "amd64" },
    dir: "/d",
    tools: { git: "/usr/bin/git" },
    protectedPids: [],
    env: {},
  } as const;
  assert.deepEqual(which.permissions(node), { read: true, run: ["/usr/bin/git"] });
});
