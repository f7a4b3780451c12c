/** A place on loopback that xtask is installed from, and a user who does it, for tests of the install scripts. */
import { join } from "node:path";
import { layOut } from "../../scripts/publish.ts";
import { targetsFor } from "../../scripts/targets.ts";
import { temporaryFolder } from "../fleet.ts";

/** What came of a script. */
export interface Installed {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** How a script is run. */
export interface InstallOptions {
  /** What runs it, and reads it from standard input. @default {["sh", "-s", "--"]} */
  readonly shell?: readonly string[];
  /** The script's text. install.sh by default. */
  readonly script?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Hears the process group of the script. */
  readonly onStarted?: (group: number) => void;
}

/** The place. Disposing it removes everything. */
export interface Published extends AsyncDisposable {
  readonly url: string;
  /** What is served; files may be changed. */
  readonly folder: string;
  /** The user's. */
  readonly home: string;
  /** Name of the executable for this machine. */
  readonly name: string;
  /** From now on this file comes by half: then the connection ends, or says no more. */
  halve(name: string, then: "end" | "silence"): void;
  /** Runs the script as a user with that home; `--from` the place unless arguments are given. */
  install(args?: readonly string[], options?: InstallOptions): Promise<Installed>;
  /** Names in a folder below home; empty where there is none. */
  names(folder: string): string[];
}

/** What is served in place of xtask: enough to be run once. */
export const PROGRAM = '#!/bin/sh\n[ "$1" = version ] && echo "xtask 9.9.9 (here)"\n';

/** Publishes a program for this machine. */
export async function publish(program = PROGRAM): Promise<Published> {
  await using stack = new AsyncDisposableStack();
  const outer = await temporaryFolder(stack);
  const [folder, home] = [join(outer, "served"), join(outer, "a home")];
  for (const path of [folder, home]) await Deno.mkdir(path);
  const name = `xtask-${targetsFor()[0]?.triple}`;
  await Deno.writeTextFile(join(folder, name), program);
  await layOut(folder);
  const halves = new Map<string, HalfServer>();
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    const asked = new URL(request.url).pathname.slice(1);
    const bytes = await Deno.readFile(join(folder, asked)).catch(() => undefined);
    if (bytes === undefined) return new Response("no", { status: 404 });
    const half = halves.get(asked);
    return half === undefined ? new Response(bytes) : Response.redirect(half.url);
  });
  stack.defer(() => server.shutdown());
  const url = `http://127.0.0.1:${server.addr.port}`;
  const owned = stack.move();
  return {
    url,
    folder,
    home,
    name,
    halve: (name, then) => void halves.set(name, owned.use(serveHalf(Deno.readFileSync(join(folder, name)), then))),
    async install(args = ["--from", url], { shell = ["sh", "-s", "--"], script, env = {}, onStarted } = {}) {
      const text = script ?? await Deno.readTextFile(join(folder, "install.sh"));
      const [command = "", ...before] = shell;
      const child = new Deno.Command(command, {
        args: [...before, ...args],
        cwd: home,
        env: { PATH: Deno.env.get("PATH") ?? "", HOME: home, LC_ALL: "C", ...env },
        clearEnv: true,
        stdin: "piped",
        stdout: "piped",
        stderr: "piped",
        // As a shell does with a job, so that a Ctrl-C reaches all of it.
        detached: true,
      }).spawn();
      onStarted?.(child.pid);
      const writer = child.stdin.getWriter();
      // A shell that has read enough leaves before the rest is written.
      await writer.write(new TextEncoder().encode(text)).then(() => writer.close()).catch(() => {});
      const { code, stdout, stderr } = await child.output();
      const [out = "", err = ""] = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes));
      return { code, stdout: out, stderr: err };
    },
    names(below) {
      try {
        return [...Deno.readDirSync(join(home, below))].map(({ name }) => name).sort();
      } catch (error) {
        if (error instanceof Deno.errors.NotFound) return [];
        throw error;
      }
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface HalfServer extends AsyncDisposable {
  readonly url: string;
}

/** Announces a file and sends half of it. By hand, since a server of Deno's tells of what it cuts. */
function serveHalf(bytes: Uint8Array<ArrayBuffer>, then: "end" | "silence"): HalfServer {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open: Deno.TcpConn[] = [];
  const serving = (async () => {
    for await (const connection of listener) {
      open.push(connection);
      await connection.read(new Uint8Array(8_192));
      const head = `HTTP/1.1 200 OK\r\ncontent-length: ${bytes.length}\r\n\r\n`;
      const half = new Blob([head, bytes.subarray(0, bytes.length >> 1)]).stream();
      await half.pipeTo(connection.writable, { preventClose: true });
      if (then === "end") await connection.closeWrite();
    }
  })();
  return {
    url: `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}/`,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const connection of open) connection.close();
      await serving;
    },
  };
}
