/** Each capability in a real Worker: what it asks for is enough for its work, and no more than that is granted. */
import assert from "node:assert/strict";
import { newCommandId } from "../protocol/id.ts";
import { parse } from "../protocol/parse.ts";
import { platformHere } from "../protocol/platform.ts";
import type { Capability, NodeFacts } from "./define.ts";
import docker from "./docker.ts";
import git from "./git.ts";
import { createHost, type Host } from "./host.ts";
import type { FixedFacts } from "./messages.ts";
import killPort from "./kill_port.ts";
import silent from "./silent.ts";
import { resolveTools } from "./tools.ts";
import which from "./which.ts";

const UNIX = { ignore: Deno.build.os === "windows" };

/** A host for a fresh node's folder, with a container client that only prints. */
async function withHost(test: (host: Host, dir: string) => Promise<void>): Promise<void> {
  const base = await Deno.realPath(await Deno.makeTempDir());
  const dir = `${base}/node`;
  await Deno.mkdir(`${base}/bin`);
  await Deno.mkdir(`${dir}/data`, { recursive: true });
  await Deno.symlink("/etc", `${dir}/out`);
  await Deno.writeTextFile(`${base}/bin/docker`, `#!/bin/sh\necho "$1"\n`, { mode: 0o755 });
  const env = { PATH: `${base}/bin:${Deno.env.get("PATH") ?? ""}`, HOME: base, GIT_CONFIG_NOSYSTEM: "1" };
  const factsFor = (capability: Capability): FixedFacts => ({
    id: "local",
    platform: platformHere(),
    dir,
    tools: resolveTools(capability, { env }).tools,
    env,
  });
  try {
    await using host = createHost({ factsFor, protectedPids: () => [Deno.pid] });
    await test(host, dir);
  } finally {
    await Deno.remove(base, { recursive: true });
  }
}

async function run(host: Host, capability: Capability, verb: string, input: unknown) {
  let text = "";
  const definition = capability.verbs[verb];
  assert.ok(definition);
  const outcome = await host.invoke({
    capability,
    verb,
    input: parse(definition.input, input, "input"),
    command: newCommandId(),
    signal: new AbortController().signal,
    output: (_, bytes) => {
      text += new TextDecoder().decode(bytes);
      return Promise.resolve();
    },
  });
  return { ...outcome, text };
}

Deno.test("which works in its Worker", UNIX, () =>
  withHost(async (host) => {
    const { data, error } = await run(host, which, "check", { names: ["git", "sh", "no-such-program"] });
    const { found, missing } = data as { found: { name: string; version?: string }[]; missing: string[] };
    assert.equal(error, undefined);
    assert.deepEqual([found.map(({ name }) => name), missing], [["git", "sh"], ["no-such-program"]]);
    assert.match(found[0]?.version ?? "", /^\d+\.\d+/);
  }));

Deno.test("silent works in its Worker", UNIX, () =>
  withHost(async (host) => {
    const { exitCode, text } = await run(host, silent, "exec", { command: ["sh", "-c", "pwd; exit 4"], dir: "data" });
    assert.equal(exitCode, 4);
    assert.match(text, /\/node\/data\n$/);
    for (const dir of ["out", "../bin", "/etc"]) {
      const { error } = await run(host, silent, "exec", { command: ["pwd"], dir });
      assert.equal(error?.code, "invalid", dir);
    }
  }));

Deno.test("kill-port works in its Worker", UNIX, () =>
  withHost(async (host) => {
    const code =
      `const l = Deno.listen({ port: 0, hostname: "127.0.0.1" }); console.log(l.addr.port); await l.accept();`;
    const child = new Deno.Command(Deno.execPath(), { args: ["eval", code], stdout: "piped" }).spawn();
    const reader = child.stdout.getReader();
    try {
      const port = Number(new TextDecoder().decode((await reader.read()).value));
      const { data, error } = await run(host, killPort, "kill", { port });
      assert.equal(error, undefined);
      assert.deepEqual(data, { port, killed: [{ pid: child.pid, name: "deno", signal: "SIGTERM" }], free: true });
      using own = Deno.listen({ port: 0, hostname: "127.0.0.1" });
      assert.equal((await run(host, killPort, "kill", { port: own.addr.port })).error?.code, "forbidden");
    } finally {
      await reader.cancel();
      // Ended by the capability; where that failed the test has failed already and this one goes as well.
      try {
        child.kill("SIGKILL");
      } catch (error) {
        assert.ok(error instanceof TypeError || error instanceof Deno.errors.NotFound);
      }
      await child.status;
    }
  }));

Deno.test("docker works in its Worker", UNIX, () =>
  withHost(async (host) => {
    assert.equal(await host.ready(docker, new AbortController().signal), undefined);
    const { text, exitCode } = await run(host, docker, "run", { image: "alpine", volumes: ["data:/data"] });
    assert.deepEqual([text, exitCode], ["run\n", 0]);
    const refused = await run(host, docker, "run", { image: "alpine", volumes: ["out:/data"] });
    assert.equal(refused.error?.code, "invalid");
  }));

Deno.test("git works in its Worker", UNIX, () =>
  withHost(async (host, dir) => {
    const init = new Deno.Command("git", { args: ["init", "-q", "-b", "main", "origin"], cwd: dir });
    assert.equal((await init.output()).code, 0);
    assert.equal((await run(host, git, "clone", { url: "./origin", dir: "deep/copy" })).exitCode, 0);
    const { data, error } = await run(host, git, "status", { dir: "deep/copy" });
    assert.equal(error, undefined);
    assert.equal((data as { branch: string }).branch, "main");
    assert.equal((await run(host, git, "status", { dir: "out" })).error?.code, "invalid");
    assert.equal((await run(host, git, "status", { dir: "missing" })).error?.code, "not_found");
  }));

Deno.test("No capability here asks for more than its own programs, but those that run anything", () => {
  const node: NodeFacts = {
    id: "local",
    platform: { os: "linux", arch: "amd64" },
    dir: "/srv/node",
    tools: { git: "/usr/bin/git", docker: "/usr/bin/docker" },
    protectedPids: [],
    env: {},
  };
  const own = { read: ["/srv/node"], run: ["/usr/bin/git", "/usr/bin/docker"] };
  assert.deepEqual(git.permissions(node), own);
  assert.deepEqual(docker.permissions(node), own);
  assert.deepEqual(silent.permissions(node), { read: ["/srv/node"], run: true });
  assert.deepEqual(killPort.permissions(node), { run: true });
});
