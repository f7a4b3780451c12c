/** A real nats-server for one test: on a port of its own, with a folder of its own, gone with the test. */
import { join } from "node:path";
import { asset } from "../scripts/assets.ts";
import { freePorts } from "./free_ports.ts";
import { until } from "./until.ts";

/** A running server. Disposing of it kills it and removes its folder. */
export interface TestServer extends AsyncDisposable {
  /** The client port; the same after a restart. */
  readonly port: number;
  /** `nats://127.0.0.1:port` */
  readonly url: string;
  /** Process id; another one after a restart. */
  readonly pid: number;
  /** The server's folder, where its configuration is. A store_dir inside survives restarts. */
  readonly dir: string;
  /** Sends a signal and waits for the end of the process. */
  kill(signal?: Deno.Signal): Promise<void>;
  /** Starts the server anew on the same port and folder, killing it first if it runs. */
  restart(): Promise<void>;
  /** What the server has logged, restarts included. */
  logText(): string;
}

/** How {@linkcode startTestServer} starts a server. */
export interface TestServerOptions {
  /** The client port. A free one by default. */
  readonly port?: number;
  /** The folder, which is then left in place. A temporary one by default. */
  readonly dir?: string;
}

const LOG_CHARS_MAX = 1024 * 1024;

/**
 * Starts a server and resolves when it serves. Address, port and ports file are set for it and need not be in the
 * configuration. In a text, `$DIR` stands for the server's folder.
 *
 * @throws {Error} with the server's log if it does not come up
 */
export async function startTestServer(
  config: string | Readonly<Record<string, unknown>> = "",
  options: TestServerOptions = {},
): Promise<TestServer> {
  const dir = options.dir ?? await Deno.makeTempDir({ prefix: "xtask-nats-" });
  const text = typeof config === "string" ? config : JSON.stringify(config, undefined, 2);
  // The server's configuration takes backslashes in strings for escapes.
  await Deno.writeTextFile(join(dir, "server.conf"), text.replaceAll("$DIR", dir.replaceAll("\\", "/")));
  const command = await asset("nats-server");

  let log = "";
  const port = options.port ?? freePorts(1)[0]!;
  let running: { child: Deno.ChildProcess; exited: boolean; ended: Promise<unknown> } | undefined;

  const start = async () => {
    const args = ["-c", "server.conf", "-a", "127.0.0.1", "-p", String(port), "--ports_file_dir", dir];
    const child = new Deno.Command(command, { args, cwd: dir, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
    const drained = child.stderr.pipeThrough(new TextDecoderStream()).pipeTo(
      new WritableStream({
        write(chunk) {
          log = (log + chunk).slice(-LOG_CHARS_MAX);
        },
      }),
    );
    const server = { child, exited: false, ended: Promise.all([child.status, drained]) };
    child.status.then(() => server.exited = true);
    running = server;
    await until("nats-server to serve", async () => {
      if (server.exited) throw new Error(`nats-server ended at once:\n${log}`);
      return await serves(join(dir, `nats-server_${child.pid}.ports`), port);
    });
  };

  const kill = async (signal: Deno.Signal = "SIGKILL") => {
    if (running === undefined) return;
    const { child, exited, ended } = running;
    if (!exited) child.kill(signal);
    await ended;
    running = undefined;
  };

  const dispose = async () => {
    await kill();
    if (options.dir === undefined) await Deno.remove(dir, { recursive: true });
  };

  try {
    await start();
  } catch (error) {
    await dispose();
    throw error;
  }

  return {
    port,
    url: `nats://127.0.0.1:${port}`,
    get pid() {
      if (running === undefined) throw new Error("The server is not running");
      return running.child.pid;
    },
    dir,
    kill,
    async restart() {
      await kill();
      await start();
    },
    logText: () => log,
    [Symbol.asyncDispose]: dispose,
  };
}

/** Whether the server has written its ports file, and something listens on its client port. */
async function serves(file: string, port: number): Promise<boolean> {
  const text = await Deno.readTextFile(file).catch((error) => {
    if (error instanceof Deno.errors.NotFound) return "";
    throw error;
  });
  if (!text.includes(`://127.0.0.1:${port}"`)) return false;
  try {
    (await Deno.connect({ hostname: "127.0.0.1", port })).close();
    return true;
  } catch {
    // Not yet.
    return false;
  }
}
