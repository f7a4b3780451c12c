/** The compiled xtask as it ships. Run by scripts/test_binary.ts, which compiles it first and takes the network away. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { newCommandId } from "../../lib/protocol/id.ts";
import { serverMark } from "../../lib/nats/server.ts";
import { markOf, survivors } from "../../lib/os/processes.ts";
import { until } from "../until.ts";
import { layGround } from "./ground.ts";

const SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin";
const PORTS = ["--nats-port", "0", "--leaf-port", "0", "--http-port", "0"];

/** The lines of `--json` output. */
const parsed = (text: string) => text.trim().split("\n").map((line) => JSON.parse(line));

Deno.test("what needs no hub runs with nothing but the file: an empty PATH, no cache, a user who is not root", async () => {
  await using ground = await layGround();
  const version = await ground.run(["version", "--json"], { home: "one" });
  assert.equal(JSON.parse(version.stdout).deno, "2.7.11");
  const notice = await Deno.readTextFile(new URL("../../NOTICE", import.meta.url));
  assert.equal((await ground.run(["licences"], { home: "one" })).stdout, notice);
  const which = await ground.run(["which", "sh"], { home: "one", path: SYSTEM_PATH });
  assert.match(which.stdout, /^sh +\/.*\/sh\n$/);
  const first = await ground.run(["task", "run", "hello"], { home: "one" });
  assert.deepEqual([first.code, first.stdout], [0, "hello from local\n"]);
  assert.match(first.stderr, /^Unpacking task /);
  const second = await ground.run(["task", "run", "hello"], { home: "one" });
  assert.deepEqual([second.code, second.stdout, second.stderr], [0, "hello from local\n", ""]);
  const doctor = await ground.run(["doctor"], { home: "one" });
  assert.equal(doctor.code, 0, doctor.stdout);
  assert.match(doctor.stdout, /permissions +read, write, run, net, env, sys; never ffi, import;/);
  assert.match(doctor.stdout, /\nok {2}nats-server +2\.15\.1 is inside, and unpacked on first use into /);
  assert.match(doctor.stdout, /\nok {2}go-task +3\.54\.0 is inside, unpacked in /);
});

Deno.test("several that unpack at once all succeed, and a damaged executable is replaced", async () => {
  await using ground = await layGround();
  const place = { home: "shared" };
  const hello = () => ground.run(["task", "run", "hello"], place);
  for (const { code, stderr } of await Promise.all([hello(), hello(), hello()])) assert.equal(code, 0, stderr);
  const assets = join(ground.folder, "shared", "cache", "assets");
  const [folder] = [...Deno.readDirSync(assets)].map(({ name }) => join(assets, name));
  const files = () => [...Deno.readDirSync(folder as string)].map(({ name }) => name).sort();
  assert.deepEqual(files(), ["task", "task.sha256"]);
  await Deno.truncate(join(folder as string, "task"), 1_000_000);
  const again = await hello();
  assert.deepEqual([again.code, again.stdout], [0, "hello from local\n"]);
  assert.match(again.stderr, /^Unpacking task /);
});

Deno.test("one that is killed while it unpacks leaves nothing that the next takes for whole", async () => {
  await using ground = await layGround();
  const assets = join(ground.folder, "killed", "cache", "assets");
  const half = async () => {
    const [folder] = await Array.fromAsync(Deno.readDir(assets)).catch(() => []);
    if (folder === undefined) return false;
    const files = await Array.fromAsync(Deno.readDir(join(assets, folder.name)));
    return files.some(({ name }) => name.endsWith(".tmp"));
  };
  const first = await ground.start(["task", "run", "hello"], { home: "killed" });
  await until("something half-written", half);
  first.kill("SIGKILL");
  await first.status;
  const { code, stdout, stderr } = await ground.run(["task", "run", "hello"], { home: "killed" });
  assert.deepEqual([code, stdout], [0, "hello from local\n"], stderr);
});

Deno.test("a cache that holds all and may not be written is as good as any", async () => {
  await using ground = await layGround();
  const place = { home: "full" };
  assert.equal((await ground.run(["task", "run", "hello"], place)).code, 0);
  const assets = join(ground.folder, "full", "cache", "assets");
  for await (const { name } of Deno.readDir(assets)) {
    // Without what tells that it was looked at, it is looked at each time.
    await Deno.remove(join(assets, name, "task.sha256"));
    await Deno.chmod(join(assets, name), 0o555);
  }
  const { code, stdout, stderr } = await ground.run(["task", "run", "hello"], place);
  assert.deepEqual([code, stdout, stderr], [0, "hello from local\n", ""]);
});

Deno.test("a home that is read-only is told in one line with what to do, and hinders nothing that needs none", async () => {
  await using ground = await layGround();
  const place = { home: "read only" };
  await Deno.chmod(await ground.makeFolder("read only"), 0o555);
  assert.equal((await ground.run(["version"], place)).code, 0);
  assert.equal((await ground.run(["which", "sh"], { ...place, path: SYSTEM_PATH })).code, 0);
  const task = await ground.run(["task", "run", "hello"], place);
  assert.match(task.stderr, /error: Cannot unpack task into .*Permission denied/);
  assert.match(task.stderr, /\n {2}set XTASK_CACHE to a folder that can be written\n$/);
  assert.equal(task.code, 75);
  const up = await ground.run(["up", ...PORTS], place);
  assert.notEqual(up.code, 0);
  assert.match(up.stderr, /^(Unpacking .*\n)?error: .*\n( {2}.*\n)+$/, "no stack trace");
  // With the executables elsewhere it comes as far as what it must keep.
  const other = { ...place, cache: "writable" };
  const upThere = await ground.run(["up", ...PORTS], other);
  assert.match(upThere.stderr, /\nerror: Permission denied .*\n {2}set XTASK_HOME to a folder that you may write to\n/);
  assert.equal(upThere.code, 77);
  const doctor = await ground.run(["doctor"], place);
  assert.equal(doctor.code, 1, doctor.stdout);
  assert.match(doctor.stdout, /\nNO {2}home +.*read only cannot be written: .*\n +→ set XTASK_HOME /);
});

Deno.test("what is compiled is installed by the line for sh, and is then found on PATH", async () => {
  const dist = new URL("../../dist/", import.meta.url);
  await using server = serveFolder(dist);
  await using ground = await layGround();
  const to = join(ground.folder, "bin");
  const script = await Deno.readTextFile(new URL("install.sh", dist));
  const args = ["-c", `${script}\n`, "sh", "--from", server.url, "--to", to];
  const { success, stdout } = await new Deno.Command("sh", { args, env: { PATH: `${to}:${SYSTEM_PATH}` } }).output();
  assert.ok(success);
  assert.match(new TextDecoder().decode(stdout), /\nInstalled xtask 0\.1\.0 \(.*\) as .*\/xtask\n$/);
  const version = await new Deno.Command("xtask", { args: ["version"], env: { PATH: to } }).output();
  assert.ok(version.success);
});

/** The page comes whole: its own files, and the script that was embedded. */
async function assertPage(url: string, loginUrl: string): Promise<void> {
  const login = await fetch(loginUrl, { redirect: "manual" });
  await login.body?.cancel();
  const cookie = login.headers.getSetCookie().map((one) => one.split(";")[0]).join("; ");
  const page = await fetch(url, { headers: { cookie } });
  const html = await page.text();
  assert.equal(page.status, 200, html);
  const files = [...html.matchAll(/"(\/static\/[^"]+)"/g)].map(([, path]) => path);
  assert.ok(files.some((path) => path?.includes("datastar")), html);
  for (const path of files) {
    const file = await fetch(`${url}${path}`, { headers: { cookie } });
    assert.ok((await file.text()).length > 100 && file.ok, `${path}`);
  }
}

/** Serves the files of a folder. */
function serveFolder(folder: URL): AsyncDisposable & { readonly url: string } {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const file = await Deno.open(new URL(`.${new URL(request.url).pathname}`, folder)).catch(() => undefined);
    return file === undefined ? new Response("no", { status: 404 }) : new Response(file.readable);
  });
  return { url: `http://127.0.0.1:${server.addr.port}`, [Symbol.asyncDispose]: () => server.shutdown() };
}

/** May this process mount? Root may, but not in every container. */
async function mayMount(): Promise<boolean> {
  if (Deno.uid() !== 0) return false;
  const args = ["--mount", "sh", "-c", "mount -t tmpfs -o size=1m tmpfs /mnt"];
  return (await new Deno.Command("unshare", { args, stderr: "null" }).output()).success;
}

Deno.test(
  "a cache without room is told of, and nothing half-written stays",
  { ignore: !await mayMount() },
  async () => {
    await using ground = await layGround();
    await using stack = new AsyncDisposableStack();
    const small = await ground.makeFolder("small");
    await run("mount", "-t", "tmpfs", "-o", "size=20m,mode=777", "tmpfs", small);
    stack.defer(() => run("umount", "-l", small));
    const { code, stderr } = await ground.run(["task", "run", "hello"], { home: "small" });
    assert.match(
      stderr,
      /error: The disk is full: \d+ bytes are needed in .*\n {2}free some space, or set XTASK_CACHE/,
    );
    assert.equal(code, 75);
    const doctor = await ground.run(["doctor"], { home: "small" });
    assert.match(doctor.stdout, /\nNO {2}home +.* has \d+ MB left on its disk\n +→ free some space/);
    const [folder] = [...Deno.readDirSync(join(small, "cache", "assets"))];
    assert.deepEqual([...Deno.readDirSync(join(small, "cache", "assets", folder?.name ?? ""))], []);
    // With the executables elsewhere it is what must be kept that finds no room.
    await Deno.writeFile(join(small, "filler"), new Uint8Array(20 * 1024 * 1024)).catch(() => {});
    const up = await ground.run(["up", ...PORTS], { home: "small", cache: "roomy" });
    assert.match(up.stderr, /\nerror: No space left .*\n {2}free some space, or set XTASK_HOME /);
    assert.equal(up.code, 75);
  },
);

async function run(program: string, ...args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

Deno.test("a hub and a node by token: a task, kill -9 of both, all is well again, and an orderly end leaves nothing", async () => {
  await using ground = await layGround();
  const hubPlace = { home: "hub" };
  const edgePlace = { home: "edge", path: SYSTEM_PATH };
  const hubArgs = ["up", "--json", "--name", "center"];
  const hub = await ground.start([...hubArgs, ...PORTS], hubPlace);
  const { natsUrl = "", leafPort = "", httpUrl = "", loginUrl = "" } = await hub.ready();
  await assertPage(httpUrl, loginUrl);
  const samePorts = [
    "--nats-port",
    new URL(natsUrl).port,
    "--leaf-port",
    leafPort,
    "--http-port",
    new URL(httpUrl).port,
  ];
  const ask = async (...args: string[]) => {
    const { code, stdout, stderr } = await ground.run([...args, "--json"], hubPlace);
    assert.equal(code, 0, `${args.join(" ")}: ${stdout}${stderr}`);
    return parsed(stdout);
  };
  const hello = async (on: string) => {
    const said = await ask("task", "run", "hello", "--on", on);
    return said.filter(({ type }) => type === "result").map(({ node, state }) => `${node} ${state}`).sort();
  };

  const [{ token }] = await ask("auth", "invite");
  const edgeArgs = ["agent", "--json", "--hub", natsUrl, "--name", "edge"];
  await Deno.chmod(await ground.makeFolder("read only"), 0o555);
  const refused = await ground.run([...edgeArgs, "--join", token], { home: "read only", cache: "writable" });
  assert.match(refused.stderr, /\nerror: Permission denied .*\n {2}set XTASK_HOME /, "and the token is good still");
  const edge = await ground.start([...edgeArgs, "--join", token], edgePlace);
  await edge.ready();
  assert.deepEqual(await hello("all"), ["center succeeded", "edge succeeded"]);
  const leafServer = () => survivors({ groups: [], mark: serverMark(join(ground.folder, "edge", "agent", "leaf")) });
  assert.equal((await leafServer()).length, 1, "a node has a server of its own");
  const doctor = await ground.run(["doctor"], edgePlace);
  assert.equal(doctor.code, 0, doctor.stdout);
  assert.match(
    doctor.stdout,
    /\nok {2}node +edge is online, .*\nok {2}hub +answers edge over its link in .*\nok {2}clock /,
  );
  const [, found] = await Promise.all([
    ask("which", "sh", "--on", "edge"),
    ground.run(["which", "no-such-program", "--on", "edge"], hubPlace),
  ]);
  assert.notEqual(found.code, 0);

  const id = newCommandId();
  const processes = () => survivors({ groups: [], mark: markOf("edge", id) });
  await ask("task", "run", "linger", "--on", "edge", "--detach", "--id", id);
  await until("the task to leave its process group", async () => (await processes()).length >= 2);
  edge.kill("SIGKILL");
  await edge.status;
  await until("what it was running to end with it", async () => (await processes()).length === 0);
  const edgeAgain = await ground.start(edgeArgs, edgePlace);
  await edgeAgain.ready();
  assert.deepEqual(await processes(), []);
  await until("the interruption to be known", async () => {
    // The hub hears of it from the node, which was killed before it could say much.
    return JSON.stringify(await ask("commands", "show", id).catch(() => [])).includes('"interrupted"');
  });
  assert.equal(await Deno.readTextFile(join(ground.project, "runs")), "run\n");

  hub.kill("SIGKILL");
  await hub.status;
  const hubAgain = await ground.start([...hubArgs, ...samePorts], hubPlace);
  await hubAgain.ready();
  await until("both nodes", async () => (await hello("all").catch(() => [])).length === 2, { timeoutMs: 60_000 });
  assert.deepEqual(await hello("all"), ["center succeeded", "edge succeeded"]);

  const server = () => survivors({ groups: [], mark: serverMark(join(ground.folder, "hub", "hub", "nats")) });
  assert.equal((await server()).length, 1);
  for (const process of [edgeAgain, hubAgain]) {
    process.kill("SIGTERM");
    assert.equal((await process.status).code, 0, process.stderrText());
  }
  assert.deepEqual([await server(), await leafServer()], [[], []]);
});

Deno.test("a person's machine that has nothing but the file joins and serves the page", async () => {
  await using ground = await layGround();
  const hub = await ground.start(["up", "--json", "--name", "center", ...PORTS], { home: "hub" });
  const { natsUrl = "" } = await hub.ready();
  const invited = await ground.run(["auth", "invite", "--role", "operator", "--json"], { home: "hub" });
  const desk = { home: "desk" };
  const joined = await ground.run(
    ["auth", "join", "--hub", natsUrl, "--name", "olga", parsed(invited.stdout)[0].token],
    desk,
  );
  assert.equal(joined.code, 0, joined.stderr);
  const ui = await ground.start(["ui", "--json", "--http-port", "0"], desk);
  const { httpUrl = "", loginUrl = "" } = await ui.ready();
  await assertPage(httpUrl, loginUrl);
  for (const process of [ui, hub]) {
    process.kill("SIGTERM");
    assert.equal((await process.status).code, 0, process.stderrText());
  }
});
