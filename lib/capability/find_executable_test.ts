import assert from "node:assert/strict";
import { findExecutable } from "./find_executable.ts";

async function withFolder(test: (dir: string) => Promise<void> | void): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await test(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

async function put(path: string, mode = 0o755): Promise<string> {
  await Deno.writeTextFile(path, "");
  await Deno.chmod(path, mode);
  return path;
}

Deno.test("findExecutable takes the first folder of PATH that has an executable file of that name", () =>
  withFolder(async (dir) => {
    for (const name of ["a", "b", "c", "d"]) await Deno.mkdir(`${dir}/${name}`);
    await put(`${dir}/a/prog`, 0o644);
    await Deno.mkdir(`${dir}/b/prog`);
    await put(`${dir}/c/prog`);
    await put(`${dir}/d/prog`);
    const path = ["a", "missing", "b", "c/", "d"].map((name) => `${dir}/${name}`).join(":");
    assert.equal(findExecutable("prog", { path, os: "linux" }), `${dir}/c/prog`);
    assert.equal(findExecutable("other", { path, os: "linux" }), undefined);
  }));

Deno.test("findExecutable keeps the name of a symlink and ignores one that leads nowhere", () =>
  withFolder(async (dir) => {
    await put(`${dir}/real`);
    await Deno.symlink("real", `${dir}/alias`);
    await Deno.symlink("nowhere", `${dir}/dangling`);
    await Deno.symlink("loop", `${dir}/loop`);
    assert.equal(findExecutable("alias", { path: dir, os: "linux" }), `${dir}/alias`);
    assert.equal(findExecutable("dangling", { path: dir, os: "linux" }), undefined);
    assert.equal(findExecutable("loop", { path: dir, os: "linux" }), undefined);
  }));

Deno.test("findExecutable takes a name with a separator as a path", () =>
  withFolder(async (dir) => {
    await put(`${dir}/prog`);
    await put(`${dir}/text`, 0o600);
    const options = { path: dir, os: "linux", dir } as const;
    assert.equal(findExecutable(`${dir}/prog`, options), `${dir}/prog`);
    assert.equal(findExecutable("./prog", options), `${dir}/prog`);
    assert.equal(findExecutable("./text", options), undefined);
    assert.equal(findExecutable("./prog", { path: dir, os: "linux" }), undefined, "no folder to be relative to");
    assert.equal(findExecutable(`${dir}/prog/below`, options), undefined);
  }));

Deno.test("findExecutable does not look into relative or empty entries of PATH", () =>
  withFolder(async (dir) => {
    const name = `xtask-here-${crypto.randomUUID()}`;
    await put(`${dir}/${name}`);
    const before = Deno.cwd();
    const relative = dir.replace(/^\//, "../".repeat(before.split("/").length - 1));
    assert.ok((await Deno.stat(`${relative}/${name}`)).isFile, "the relative entry does lead there");
    assert.equal(findExecutable(name, { path: `:.:${relative}:`, os: "linux" }), undefined);
  }));

Deno.test("findExecutable finds nothing for names that no file can have", () => {
  for (const name of ["", "a\0b", "x".repeat(5_000)]) {
    assert.equal(findExecutable(name, { path: "/usr/bin:/bin", os: "linux" }), undefined);
  }
});

// The look-up asks the real file system, and only Windows has one where `C:\dir\tool.CMD` lies in a folder.
Deno.test("findExecutable tries the endings of PATHEXT on Windows, and the name itself where it has one", {
  ignore: Deno.build.os !== "windows",
}, () =>
  withFolder(async (dir) => {
    await put(`${dir}\\tool.CMD`);
    await put(`${dir}\\plain`);
    const options = { path: `;"${dir}"`, os: "windows", pathext: ".EXE;.CMD" } as const;
    assert.equal(findExecutable("tool", options)?.toLowerCase(), `${dir}\\tool.cmd`.toLowerCase());
    assert.equal(findExecutable("tool.cmd", options)?.toLowerCase(), `${dir}\\tool.cmd`.toLowerCase());
    assert.equal(findExecutable("plain", options), undefined);
  }));

Deno.test("findExecutable looks closer only at files that a quicker look has seen", () =>
  withFolder(async (dir) => {
    for (const name of ["a", "b"]) await Deno.mkdir(`${dir}/${name}`);
    await put(`${dir}/a/prog`, 0o644);
    await put(`${dir}/b/prog`);
    const seen: string[] = [];
    const options = { path: `${dir}/a:${dir}/b`, os: "linux" } as const;
    const found = findExecutable("prog", { ...options, exists: (file) => seen.push(file) > 0 });
    assert.equal(found, `${dir}/b/prog`, "what is there need be no program");
    assert.deepEqual(seen, [`${dir}/a/prog`, `${dir}/b/prog`]);
    assert.equal(findExecutable("prog", { ...options, exists: () => false }), undefined);
  }));
