/** A nats-server that this process owns: configured, started, watched, started again when it dies. */
import { XtaskError } from "../protocol/error.ts";
import { pause } from "../os/pause.ts";
import { endProcesses, MARK } from "../os/processes.ts";
import { writeSecretFile } from "../os/secret_file.ts";
import { FOR_LEAF_NODES } from "./server_config.ts";
import { watchStore } from "./store_watch.ts";

/** Options of {@linkcode startServer}. */
export interface ServerOptions {
  /** Path of the nats-server executable. */
  readonly program: string;
  /** Folder for its configuration, store and log. */
  readonly home: string;
  readonly host: string;
  /** 0 takes any free port. */
  readonly port: number;
  /** Where leaf nodes connect; undefined for none. 0 takes any free port. */
  readonly leafPort?: number;
  /** PEM texts: with them all its ports speak TLS alone. */
  readonly tls?: { readonly cert: string; readonly key: string };
  /** What it finds in its environment beside its own mark. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Its configuration, but for address and ports, which are settled here: see server_config.ts. */
  readonly config: Record<string, unknown>;
  /** Whether the server answers as it should; rejects while it does not. */
  readonly probe: (url: string, signal: AbortSignal) => Promise<void>;
  /** Hears that the server died, and that it is back. */
  readonly onChange: (change: ServerChange) => void;
  /** Hears why its store cannot be written; undefined when the server has been started anew for that. */
  readonly onStore: (trouble: string | undefined) => void;
}

/** What happened to a server. */
export interface ServerChange {
  readonly state: "died" | "restarted";
  readonly reason: string;
  /** Why the one before it ended, where it was started again. */
  readonly died?: string;
}

/** A running server. Disposing it stops it. */
export interface Server extends AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly leafPort: number | undefined;
  readonly pid: number;
  /** Rejects when the server cannot be brought back. */
  readonly failed: Promise<never>;
}

const START_MS = 20_000;
const RESTART_MS = { min: 250, max: 10_000 };
/** A server that ran for this long was sound: the next death starts at the shortest pause again. */
const SOUND_MS = 60_000;

const CERT_FILE = "tls.pem";
const KEY_FILE = "tls-key.pem";
/** Seconds for a handshake. The default of two is short for a machine that is busy. */
const TLS_S = 5;

/** The mark of the server of a home. Encoded, since what lists processes may show nothing but ASCII. */
export function serverMark(home: string): string {
  return `nats-server:${encodeURI(home)}`;
}

/**
 * Starts a server and resolves when it truly serves.
 *
 * @throws {XtaskError} `conflict` for a port that is taken, `unavailable` where it does not come up, with its own words
 */
export async function startServer(options: ServerOptions, signal?: AbortSignal): Promise<Server> {
  const { home, onChange } = options;
  await Deno.mkdir(`${home}/ports`, { recursive: true, mode: 0o700 });
  const mark = serverMark(home);
  // One that outlived a killed hub still holds the port and the store.
  await endProcesses({ groups: [], mark });
  let running = await launch(options, { port: options.port, leafPort: options.leafPort }, mark, signal);
  const { ports } = running;
  const stop = new AbortController();
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  const supervised = (async () => {
    let pauseMs = RESTART_MS.min;
    for (;;) {
      const begun = performance.now();
      const reason = await endOf(running, options, stop.signal);
      if (stop.signal.aborted) return;
      if (performance.now() - begun > SOUND_MS) pauseMs = RESTART_MS.min;
      onChange({ state: "died", reason });
      for (;;) {
        await pause(pauseMs, stop.signal);
        pauseMs = Math.min(pauseMs * 2, RESTART_MS.max);
        if (stop.signal.aborted) return;
        try {
          running = await launch(options, ports, mark, stop.signal);
          break;
        } catch (error) {
          if (stop.signal.aborted) return;
          onChange({ state: "died", reason: (error as Error).message });
        }
      }
      options.onStore(undefined);
      onChange({ state: "restarted", reason: "nats-server serves again", died: reason });
    }
  })();
  supervised.catch(failure.reject);
  return {
    url: urlOf(options, ports.port),
    port: ports.port,
    leafPort: ports.leafPort,
    get pid() {
      return running.child.pid;
    },
    failed: failure.promise,
    async [Symbol.asyncDispose]() {
      if (stop.signal.aborted) return;
      stop.abort();
      await endProcesses({ groups: [running.child.pid], mark }, { graceMs: 10_000 });
      await supervised;
    },
  };
}

/** Why a server ended: by itself, or since its store takes nothing before it is started anew. */
async function endOf({ child }: Running, { home, onStore }: ServerOptions, signal: AbortSignal): Promise<string> {
  const ended = new AbortController();
  const watched = watchStore(
    { log: logOf(home), store: home, onTrouble: onStore },
    AbortSignal.any([signal, ended.signal]),
  );
  const failing = watched.then((outcome) => outcome && endProcesses({ groups: [child.pid] }));
  const status = await child.status;
  ended.abort();
  return await failing === undefined
    ? `nats-server ended with ${status.signal ?? `exit code ${status.code}`}`
    : "nats-server could not write its store";
}

const logOf = (home: string) => `${home}/nats-server.log`;

interface Ports {
  readonly port: number;
  readonly leafPort: number | undefined;
}

interface Running {
  readonly child: Deno.ChildProcess;
  readonly ports: Ports;
}

async function launch(
  options: ServerOptions,
  wanted: Ports,
  mark: string,
  signal: AbortSignal | undefined,
): Promise<Running> {
  const { program, home, probe } = options;
  const logPath = logOf(home);
  if (options.tls !== undefined) {
    await Deno.writeTextFile(`${home}/${CERT_FILE}`, options.tls.cert);
    await writeSecretFile(`${home}/${KEY_FILE}`, options.tls.key);
  }
  await Deno.writeTextFile(`${home}/nats-server.conf`, configOf(options, wanted), { mode: 0o600 });
  await Deno.writeTextFile(logPath, "");
  let child: Deno.ChildProcess;
  try {
    child = new Deno.Command(program, {
      args: ["-c", `${home}/nats-server.conf`, "-l", logPath],
      env: { ...options.env, [MARK]: mark },
      stdin: "null",
      stdout: "null",
      stderr: "null",
      // In a group of its own: Ctrl-C reaches us, and we stop it in our order.
      detached: true,
    }).spawn();
  } catch (cause) {
    throw new XtaskError("unavailable", `nats-server cannot be started from ${program}: ${(cause as Error).message}`, {
      cause,
    });
  }
  let ended: Deno.CommandStatus | undefined;
  void child.status.then((status) => ended = status);
  const within = AbortSignal.any([AbortSignal.timeout(START_MS), ...(signal === undefined ? [] : [signal])]);
  let reason: unknown = new Error("it wrote no ports file");
  while (!within.aborted && ended === undefined) {
    const ports = await portsOf(home, logPath, child.pid, options.leafPort !== undefined);
    if (ports !== undefined) {
      try {
        await probe(urlOf(options, ports.port), within);
        return { child, ports };
      } catch (error) {
        reason = error;
      }
    }
    await pause(25, within);
  }
  await endProcesses({ groups: [child.pid], mark }, { graceMs: 1_000 });
  throw await whyNot(logPath, wanted, ended === undefined ? reason : undefined);
}

/** The server writes its client port to a file named after its program and process; the leaf port stands in its log alone. */
async function portsOf(home: string, logPath: string, pid: number, leaf: boolean): Promise<Ports | undefined> {
  const dir = `${home}/ports`;
  const name = [...Deno.readDirSync(dir)].find((entry) => entry.name.endsWith(`_${pid}.ports`))?.name;
  if (name === undefined) return undefined;
  try {
    const { nats } = JSON.parse(await Deno.readTextFile(`${dir}/${name}`)) as { nats?: string[] };
    if (nats?.[0] === undefined) return undefined;
    const port = Number(new URL(nats[0]).port);
    if (!leaf) return { port, leafPort: undefined };
    const told = /Listening for leafnode connections on \S*:(\d+)/.exec(await Deno.readTextFile(logPath))?.[1];
    return told === undefined ? undefined : { port, leafPort: Number(told) };
  } catch (error) {
    // Not there yet, or being written.
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

async function whyNot(logPath: string, { port, leafPort }: Ports, reason: unknown): Promise<XtaskError> {
  const lines = (await Deno.readTextFile(logPath)).split("\n").filter((line) => /\[(FTL|ERR)\]/.test(line)).slice(-5);
  const taken = lines.some((line) => line.includes("address already in use"));
  if (taken) {
    const leaf = lines.some((line) => /leafnode/i.test(line));
    return new XtaskError("conflict", `Port ${leaf ? leafPort : port} is taken by another program`, {
      details: [
        `choose another with --${leaf ? "leaf" : "nats"}-port, or find its owner: xtask kill-port ${
          leaf ? leafPort : port
        }`,
      ],
    });
  }
  return new XtaskError("unavailable", "nats-server does not come up", {
    details: [...lines, ...(reason === undefined ? [] : [(reason as Error).message]), `its log is ${logPath}`],
    cause: reason,
  });
}

/** JSON is valid in the server's configuration language, so nothing can break out of a value. */
function configOf({ home, host, leafPort, tls, config }: ServerOptions, wanted: Ports): string {
  const free = (port: number) => port === 0 ? -1 : port;
  const secured = tls === undefined
    ? {}
    : { tls: { cert_file: `${home}/${CERT_FILE}`, key_file: `${home}/${KEY_FILE}`, timeout: TLS_S } };
  const whole = {
    host,
    port: free(wanted.port),
    ports_file_dir: `${home}/ports`,
    ...secured,
    ...config,
    ...(leafPort === undefined
      ? {}
      : { leafnodes: { host, port: free(wanted.leafPort ?? leafPort), ...FOR_LEAF_NODES, ...secured } }),
  };
  return JSON.stringify(whole, undefined, 2);
}

/** Where this machine reaches it. */
function urlOf({ host, tls }: ServerOptions, port: number): string {
  return `${tls === undefined ? "nats" : "tls"}://${urlHost(host)}:${port}`;
}

function urlHost(host: string): string {
  if (host === "0.0.0.0" || host === "::") return "127.0.0.1";
  return host.includes(":") ? `[${host}]` : host;
}
