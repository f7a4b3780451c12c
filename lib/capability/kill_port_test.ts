import assert from "node:assert/strict";
import { runHere } from "./here.ts";
import killPort, { sameProcesses } from "./kill_port.ts";

const PATH = Deno.env.get("PATH") ?? "";
/** These need one of the two programs that list listeners. */
const UNIX = { ignore: Deno.build.os === "windows" };

/** Another process that listens on a port of loopback. */
class Listener implements AsyncDisposable {
  #child: Deno.ChildProcess;
  readonly port: number;

  private constructor(child: Deno.ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  /** Starts one and waits until it listens. */
  static async start(
    { port = 0, hostname = "127.0.0.1", stubborn = false } = {},
  ): Promise<Listener> {
    const code = `
      ${stubborn ? `Deno.addSignalListener("SIGTERM", () => {});` : ""}
      const listener = Deno.listen({ port: ${port}, hostname: "${hostname}", reusePort: true });
      console.log(listener.addr.port);
      for await (const connection of listener) connection.close();`;
    const child = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--unstable-net", code],
      stdin: "null",
      stdout: "piped",
    }).spawn();
    const reader = child.stdout.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    return new Listener(child, Number(new TextDecoder().decode(value)));
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** How it ended. */
  get status(): Promise<Deno.CommandStatus> {
    return this.#child.status;
  }

  /** Whether it still takes connections. */
  async listens(): Promise<boolean> {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port: this.port })).close();
      return true;
    } catch {
      return false;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has ended already, which is what most of these tests are about.
    }
    await this.#child.status;
  }
}

interface Killing {
  readonly input: Record<string, unknown>;
  readonly protectedPids?: readonly number[];
  readonly path?: string;
}

async function kill({ input, protectedPids = [Deno.pid], path = PATH }: Killing) {
  let text = "";
  const { data } = await runHere(killPort, "kill", input, {
    dir: Deno.cwd(),
    env: { PATH: path },
    protectedPids,
    output: (_, bytes) => text += new TextDecoder().decode(bytes),
  });
  return {
    data: data as { port: number; killed: { pid: number; name: string; signal: string }[]; free: boolean },
    text,
  };
}

Deno.test("kill-port.kill ends a listener with SIGTERM and sees the port free", UNIX, async () => {
  await using listener = await Listener.start();
  const { port, pid } = listener;
  const { data, text } = await kill({ input: { port } });
  assert.deepEqual(data, { port, killed: [{ pid, name: "deno", signal: "SIGTERM" }], free: true });
  assert.equal(text, `ended deno (pid ${pid}) with SIGTERM\n`);
  assert.equal((await listener.status).signal, "SIGTERM");
});

Deno.test("kill-port.kill ends a listener that ignores SIGTERM with SIGKILL after the grace", UNIX, async () => {
  await using listener = await Listener.start({ stubborn: true });
  const { port, pid } = listener;
  const { data } = await kill({ input: { port, graceMs: 100 } });
  assert.deepEqual(data.killed, [{ pid, name: "deno", signal: "SIGKILL" }]);
  assert.equal((await listener.status).signal, "SIGKILL");
});

// Only Linux lets two processes share a port by SO_REUSEPORT through Deno.
Deno.test("kill-port.kill ends every process that shares the port", { ignore: Deno.build.os !== "linux" }, async () => {
  await using first = await Listener.start();
  await using second = await Listener.start({ port: first.port });
  const { data } = await kill({ input: { port: first.port } });
  assert.deepEqual(data.killed.map(({ pid }) => pid).sort(), [first.pid, second.pid].sort());
  await Promise.all([first.status, second.status]);
});

Deno.test("kill-port.kill finds a listener on IPv6", { ignore: UNIX.ignore || !hasIpv6() }, async () => {
  await using listener = await Listener.start({ hostname: "::1" });
  const { data } = await kill({ input: { port: listener.port } });
  assert.deepEqual(data.killed.map(({ pid }) => pid), [listener.pid]);
});

Deno.test("kill-port.kill succeeds and says so where nothing listens", UNIX, async () => {
  const listener = await Listener.start();
  await listener[Symbol.asyncDispose]();
  const { port } = listener;
  assert.deepEqual(await kill({ input: { port } }), {
    data: { port, killed: [], free: true },
    text: `nothing listens on port ${port}\n`,
  });
});

Deno.test("kill-port.kill leaves alone who only connects to the port", UNIX, async () => {
  await using listener = await Listener.start();
  await using other = await Listener.start();
  using _connection = await Deno.connect({ hostname: "127.0.0.1", port: listener.port });
  await kill({ input: { port: listener.port } });
  assert.ok(await other.listens());
});

Deno.test("kill-port.kill refuses protected processes and itself, and ends nobody then", UNIX, async () => {
  await using listener = await Listener.start();
  const { port, pid } = listener;
  await assert.rejects(kill({ input: { port }, protectedPids: [pid] }), {
    code: "forbidden",
    details: [`pid ${pid} (deno)`],
  });
  assert.ok(await listener.listens());
  using own = Deno.listen({ port: 0, hostname: "127.0.0.1" });
  await assert.rejects(kill({ input: { port: own.addr.port }, protectedPids: [] }), { code: "forbidden" });
});

Deno.test(
  "kill-port.kill asks lsof where ss fails",
  { ignore: Deno.build.os !== "linux" || !has("lsof") },
  async () => {
    const dir = await Deno.makeTempDir();
    try {
      await Deno.writeTextFile(`${dir}/ss`, "#!/bin/sh\nexit 1\n", { mode: 0o755 });
      await using listener = await Listener.start();
      const { data } = await kill({ input: { port: listener.port }, path: `${dir}:${PATH}` });
      assert.deepEqual(data.killed, [{ pid: listener.pid, name: "deno", signal: "SIGTERM" }]);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
);

// `ss` shows this line, without its last column, for a process of another user; a script stands in for it since a test
// cannot become somebody else.
Deno.test(
  "kill-port.kill refuses a port whose owner cannot be seen",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    const dir = await Deno.makeTempDir();
    try {
      const line = "LISTEN 0      5      127.0.0.1:8080 0.0.0.0:*";
      await Deno.writeTextFile(`${dir}/ss`, `#!/bin/sh\necho '${line}'\n`, { mode: 0o755 });
      await assert.rejects(kill({ input: { port: 8080 }, path: `${dir}:${PATH}` }), {
        code: "forbidden",
        message: "Port 8080 belongs to a process that cannot be seen",
      });
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
);

Deno.test("sameProcesses takes who was there at first, by pid and start", () => {
  const owner = (pid: number) => ({ pid, name: "p" });
  const first = { owners: [owner(2), owner(3), owner(4)], starts: new Map([[2, 10_000], [3, 10_000]]) };
  const now = {
    owners: [owner(2), owner(3), owner(4), owner(5)],
    starts: new Map([[2, 11_000], [3, 60_000], [4, 10_000], [5, 10_000]]),
  };
  assert.deepEqual(sameProcesses(first, now).map(({ pid }) => pid), [2, 4]);
  assert.deepEqual(sameProcesses(first, { owners: [], starts: new Map() }), []);
});

Deno.test("kill-port.kill refuses what is no port", async () => {
  for (const port of [0, 65_536, 1.5, "80", -1, null]) {
    await assert.rejects(kill({ input: { port } }), { code: "invalid" });
  }
  await assert.rejects(kill({ input: { port: 80, graceMs: 60_001 } }), { code: "invalid" });
});

Deno.test("kill-port says why a node cannot offer it", async () => {
  const { ready } = killPort;
  assert.ok(ready);
  for (
    const { os, tools, why } of [
      { os: "linux", tools: {}, why: "neither ss nor lsof is on PATH" },
      { os: "linux", tools: { lsof: "/l" }, why: undefined },
      { os: "darwin", tools: { ss: "/s" }, why: "lsof is not on PATH" },
      { os: "windows", tools: { netstat: "n" }, why: undefined },
    ] as const
  ) {
    const node = { id: "n", platform: { os, arch: "amd64" }, dir: "/", tools, protectedPids: [], env: {} } as const;
    const context = {
      command: "ready",
      node,
      signal: new AbortController().signal,
      log: () => {},
      exec: () => Promise.reject(new TypeError("needs no process")),
      kill: () => false,
    };
    assert.equal(await ready(context), why);
  }
});

function has(program: string): boolean {
  return PATH.split(":").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${program}`).isFile;
    } catch {
      return false;
    }
  });
}

function hasIpv6(): boolean {
  try {
    Deno.listen({ port: 0, hostname: "::1" }).close();
    return true;
  } catch {
    return false;
  }
}
