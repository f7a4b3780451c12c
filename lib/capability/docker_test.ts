/**
 * No test here proves that a container runs, but for the last one where a daemon answers. The others put a script in the
 * client's place: a real process, so that what is seen is the argument vector as a client would get it. One asks the real
 * docker client, where there is one, whether it understands these vectors.
 */
import assert from "node:assert/strict";
import * as v from "valibot";
import { defineCapability, verb } from "./define.ts";
import docker from "./docker.ts";
import { type HereOptions, runHere } from "./here.ts";

const UNIX = { ignore: Deno.build.os === "windows" };
const PATH = Deno.env.get("PATH") ?? "";

/** A node's folder, and beside it a client that notes its arguments and then does what `script` says. */
class Node implements AsyncDisposable {
  readonly base: string;
  readonly dir: string;

  private constructor(base: string) {
    this.base = base;
    this.dir = `${base}/node`;
  }

  static async create(script = ""): Promise<Node> {
    const node = new Node(await Deno.realPath(await Deno.makeTempDir()));
    await Deno.mkdir(`${node.dir}/data/sub`, { recursive: true });
    await Deno.symlink("/", `${node.dir}/out`);
    const note = `{ printf '%s\\n' "$@"; echo =; } >> '${node.base}/calls'`;
    await Deno.writeTextFile(`${node.base}/docker`, `#!/bin/sh\n${note}\n${script}\n`, { mode: 0o755 });
    return node;
  }

  async run(verb: string, input: unknown, options: Partial<HereOptions> = {}) {
    let text = "";
    const result = await runHere(docker, verb, input, {
      dir: this.dir,
      env: { PATH },
      tools: { docker: `${this.base}/docker` },
      output: (_, bytes) => text += new TextDecoder().decode(bytes),
      ...options,
    });
    return { ...result, text };
  }

  /** The argument vectors so far. */
  async calls(): Promise<string[][]> {
    const text = await Deno.readTextFile(`${this.base}/calls`).catch(() => "");
    return text.split("=\n").slice(0, -1).map((call) => call.split("\n").slice(0, -1));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.base, { recursive: true });
  }
}

Deno.test("docker's verbs that change something hand the client's output and exit code on", UNIX, async () => {
  await using node = await Node.create("echo from the client; exit 3");
  const ran = await node.run("pull", { image: "alpine:3" });
  assert.deepEqual(ran, { data: { exitCode: 3 }, exitCode: 3, text: "from the client\n" });
  await node.run("stop", { container: "web", timeoutS: 2 });
  await node.run("logs", { container: "web", tail: 10 });
  await node.run("build", { dir: "data", file: "sub/../Containerfile", tag: "team/app:1" });
  assert.deepEqual(await node.calls(), [
    ["pull", "--", "alpine:3"],
    ["stop", "-t", "2", "--", "web"],
    ["logs", "--tail=10", "--", "web"],
    ["build", "--tag=team/app:1", `--file=${node.dir}/data/Containerfile`, "--", `${node.dir}/data`],
  ]);
});

Deno.test("docker.run mounts folders of the node alone, by their real paths", UNIX, async () => {
  await using node = await Node.create();
  const { data } = await node.run("run", {
    image: "alpine",
    args: ["ls", "-l"],
    name: "job",
    volumes: ["data/../data/sub:/work:ro"],
  });
  assert.deepEqual(data, { exitCode: 0, container: "job" });
  const [call = []] = await node.calls();
  assert.ok(call.includes(`--mount=type=bind,source=${node.dir}/data/sub,target=/work,readonly`), call.join(" "));
  assert.deepEqual(call.slice(-4), ["--", "alpine", "ls", "-l"]);
  for (const volume of ["../x:/x", "/etc:/x", "out:/x", "out/etc:/x"]) {
    await assert.rejects(node.run("run", { image: "alpine", volumes: [volume] }), { code: "invalid" }, volume);
  }
  for (const input of [{ dir: ".." }, { dir: "out" }, { dir: "data", file: "../../x" }, { file: "out/etc/passwd" }]) {
    await assert.rejects(node.run("build", input), { code: "invalid" });
  }
  assert.equal((await node.calls()).length, 1, "the client was not called for any of these");
});

Deno.test("docker.run names its container after the command and ends it when it is cancelled", UNIX, async () => {
  const abort = new AbortController();
  await using node = await Node.create('if [ "$1" = run ]; then echo up; exec /bin/sleep 60; fi');
  const output = () => abort.abort(new Error("enough"));
  await assert.rejects(node.run("run", { image: "alpine" }, { signal: abort.signal, output }), /enough/);
  const [run = [], end] = await node.calls();
  const name = run.find((arg) => arg.startsWith("--name="))?.slice("--name=".length) ?? "";
  assert.match(name, /^xtask-[0-9A-Z]{26}$/);
  assert.deepEqual(end, ["kill", "--", name]);
});

Deno.test("docker.ps and images tell what the client lists", UNIX, async () => {
  const container = { ID: "0123456789abcdef", Names: "web", Image: "nginx", State: "running", Status: "Up", Ports: "" };
  const image = { ID: "sha256:0123456789abcdef", Repository: "nginx", Tag: "1", Size: "1MB" };
  await using node = await Node.create(
    `case "$1" in ps) echo '${JSON.stringify(container)}';; images) echo '${JSON.stringify(image)}';; esac`,
  );
  const ps = await node.run("ps", { all: true });
  assert.equal((ps.data as { containers: unknown[] }).containers.length, 1);
  assert.equal(ps.text, "0123456789ab  web  nginx  Up\n");
  assert.equal((await node.run("images", {})).text, "0123456789ab  nginx:1  1.0 MB\n");
  assert.deepEqual((await node.calls())[0], ["ps", "--no-trunc", "--format", "{{json .}}", "--all"]);
});

Deno.test("docker.info passes the client's complaint on where no daemon answers", UNIX, async () => {
  await using node = await Node.create("echo Cannot connect to the Docker daemon >&2; exit 1");
  await assert.rejects(node.run("info", {}), {
    code: "unavailable",
    details: ["Cannot connect to the Docker daemon"],
  });
});

Deno.test("docker's ready tells why there is nobody to run containers", UNIX, async () => {
  const { ready } = docker;
  assert.ok(ready);
  // `runHere` runs verbs, so `ready` is made one: it gets the context that it would get from the host.
  const asking = defineCapability({
    ...docker,
    defaultVerb: "ready",
    verbs: {
      ready: verb({ summary: "", effect: "read", input: v.object({}), output: v.unknown(), run: (_, at) => ready(at) }),
    },
  });
  for (
    const { script, why } of [
      { script: `echo '{"Client":{},"Server":{}}'`, why: undefined },
      { script: `echo '{"Client":{},"Server":null}'; echo no daemon >&2; exit 1`, why: "no daemon" },
      { script: "exit 125", why: "the container client ended with 125" },
    ]
  ) {
    await using node = await Node.create(script);
    const { data } = await runHere(asking, "ready", {}, {
      dir: node.dir,
      env: { PATH },
      tools: { docker: `${node.base}/docker` },
      output: () => {},
    });
    assert.equal(data, why);
  }
});

Deno.test("docker refuses names that are none before the client hears of them", UNIX, async () => {
  await using node = await Node.create();
  for (
    const [verb, input] of [
      ["pull", { image: "--all-tags" }],
      ["run", { image: "-v" }],
      ["run", { image: "alpine", name: "-x" }],
      ["run", { image: "alpine", env: { "A=B": "" } }],
      ["run", { image: "alpine", privileged: true }],
      ["stop", { container: "--help" }],
      ["logs", { container: "-f" }],
      ["build", { tag: "-t" }],
      ["build", { target: "--x" }],
    ] as const
  ) await assert.rejects(node.run(verb, input), { code: "invalid" }, `${verb} ${JSON.stringify(input)}`);
  assert.deepEqual(await node.calls(), []);
});

const hasDocker = (await ask("--version"))?.text.startsWith("Docker version") ?? false;
const hasDaemon = (await ask("version"))?.code === 0;

Deno.test("The real docker client understands every argument vector", {
  // It is pointed at a socket that is not there, so it reads its flags, fails to connect and nothing more happens.
  ignore: UNIX.ignore || !hasDocker,
}, async () => {
  await using node = await Node.create();
  await Deno.writeTextFile(`${node.dir}/Dockerfile`, "FROM scratch\n");
  const env = { PATH, HOME: node.base, DOCKER_HOST: `unix://${node.base}/none.sock` };
  for (
    const [verb, input] of [
      ["pull", { image: "alpine" }],
      ["run", {
        image: "alpine",
        args: ["--version"],
        background: true,
        remove: false,
        env: { A: "-b" },
        ports: ["127.0.0.1:80:80/tcp", "90"],
        volumes: ["data:/data:ro"],
      }],
      ["build", { tag: "a:1", file: "Dockerfile", target: "x", buildArgs: { A: "b" } }],
      ["stop", { container: "a", timeoutS: 1 }],
      ["logs", { container: "a", tail: 1 }],
    ] as const
  ) {
    const shown = await node.run(verb, input, { env, tools: {} });
    assert.notEqual(shown.exitCode, 0, verb);
    assert.match(shown.text, /cannot connect|failed to connect|no such file/i, verb);
    assert.doesNotMatch(shown.text, /unknown (shorthand )?flag|requires (exactly|at least)/i, verb);
  }
  for (const verb of ["info", "ps", "images"]) {
    await assert.rejects(node.run(verb, {}, { env, tools: {} }), { code: "unavailable" });
  }
});

Deno.test(
  `docker builds and lists with a real daemon${hasDaemon ? "" : " (not run: no daemon answers here)"}`,
  {
    ignore: !hasDaemon,
  },
  async () => {
    await using node = await Node.create();
    const env = Deno.env.toObject();
    const tag = `xtask-test:${crypto.randomUUID()}`;
    await Deno.writeTextFile(`${node.dir}/Dockerfile`, "FROM scratch\nCOPY data /data\n");
    try {
      const { exitCode, text } = await node.run("build", { tag }, { env, tools: {} });
      assert.equal(exitCode, 0, text);
      const { data } = await node.run("images", {}, { env, tools: {} });
      const { images } = data as { images: { tag?: string }[] };
      assert.ok(images.some((image) => image.tag === tag.split(":")[1]));
      assert.ok((await node.run("info", {}, { env, tools: {} })).data);
      assert.ok((await node.run("ps", { all: true }, { env, tools: {} })).data);
    } finally {
      await new Deno.Command("docker", { args: ["rmi", "--", tag], stdout: "null", stderr: "null" }).output();
    }
  },
);

/** What the docker client on PATH says; undefined where there is none. */
async function ask(question: string): Promise<{ code: number; text: string } | undefined> {
  try {
    const asked = new Deno.Command("docker", { args: [question], signal: AbortSignal.timeout(5_000), stderr: "null" });
    const { code, stdout } = await asked.output();
    return { code, text: new TextDecoder().decode(stdout) };
  } catch {
    return undefined;
  }
}
