/**
 * Processes that outlive the agent: of runs that were asked with `--keep`. A fixed shell script, which takes the argument
 * vector as it is, starts the process and writes what there is to know of it into the run's folder: its own id and start,
 * the output, the exit code. Whichever agent runs then reads the folder, so that it makes no difference who started it.
 */
import * as v from "valibot";
import type { Capability } from "../capability/define.ts";
import { environmentOf } from "../capability/exec.ts";
import { pause } from "../os/pause.ts";
import { type EndProcesses, markOf, sendSignal } from "../os/processes.ts";
import { SINCE, startOf } from "../os/started.ts";
import { XtaskError } from "../protocol/error.ts";
import { KEPT_OUTPUT_BYTES } from "../protocol/limits.ts";

/** Starts and finds such processes. */
export interface Keeper {
  /** Tells this start of the machine from any other. */
  readonly boot: string | undefined;
  /**
   * Starts a process, as a verb's `keep.process` has told it. Resolves when it can be found again.
   *
   * @throws {XtaskError} where it cannot be started
   */
  start(capability: Capability, command: string, process: unknown): Promise<Kept>;
  /** What an earlier agent has started; undefined where that did not come so far. */
  find(command: string, options: { readonly sameBoot: boolean }): Promise<Kept | undefined>;
  /** Removes what is left of runs that are not `wanted` any more. */
  sweep(wanted: (command: string) => boolean): Promise<void>;
}

/** One such process. */
export interface Kept {
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  /**
   * Gives its output as it comes.
   *
   * @returns How it ended; undefined where it goes on and `leaving` has fired
   */
  watch(watching: Watching): Promise<KeptEnd | undefined>;
  /** Whether it had ended when it was found. */
  readonly ended: boolean;
  /** Ends what is left of it, once. */
  end(): Promise<unknown>;
  /** Removes what is kept of it. */
  remove(): Promise<void>;
}

/** What {@linkcode Kept.watch} needs. */
export interface Watching {
  /** Hears output that has been reported already: it stands before all that is taken. */
  readonly recall: (bytes: Uint8Array<ArrayBuffer>) => void;
  /** Takes output; resolves when there is room for more. */
  readonly take: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>;
  /** Resolves when all that was taken cannot be lost any more, if that can be. */
  readonly flush: () => Promise<void>;
  /** How much of it cannot be lost any more, whatever happens to this agent. */
  readonly reported: () => number;
  /** The process is to be ended. */
  readonly signal: AbortSignal;
  /** It is to be left to the next agent. */
  readonly leaving: AbortSignal;
}

/** How a process ended. */
export interface KeptEnd {
  /** Undefined where it was killed, or the machine was. */
  readonly exitCode: number | undefined;
  /** Bytes of output past the bound: they were counted and thrown away. */
  readonly lost: number;
  /** Milliseconds since 1970, where that is known. */
  readonly endedAt: number | undefined;
}

/** Options of {@linkcode createKeeper}. */
export interface KeeperOptions {
  /** Where the folders of runs are. */
  readonly folder: string;
  readonly node: string;
  readonly boot: string | undefined;
  /** Environment of child processes. */
  readonly env: Readonly<Record<string, string>>;
  /** Paths of the executables that a capability may start. */
  readonly toolsOf: (capability: string) => readonly string[];
  readonly endProcesses: EndProcesses;
  readonly graceMs: number;
  /** @default {KEPT_OUTPUT_BYTES} */
  readonly outputBytes?: number;
}

/**
 * Of the run's folder, the bound of its output, and the argument vector. The process gets SIGTERM like all of its group; the
 * shells wait for it, and what writes the output lets it come to its end. What writes down how it ended is deaf: SIGTERM comes
 * to each process that is found, however late. Past the bound, or at most 16 MiB later, output is counted and thrown away.
 * (dd writes what it reads at once; head would keep it back.)
 */
const SCRIPT = `
echo "$$ $(${SINCE} since $$; echo "$started")" > "$1/pid.new" && mv "$1/pid.new" "$1/pid" || exit 1
trap : HUP INT TERM
(
  trap : HUP INT TERM
  run() { shift 2; "$@"; }
  run "$@" < /dev/null
  code=$?
  trap '' HUP INT TERM
  echo $code > "$1/code.new"
  mv "$1/code.new" "$1/code"
) 2>&1 | (
  trap '' HUP INT TERM
  size() { set -- $(ls -ln "$1"); size=$5; }
  size=0
  while [ "$size" -lt "$2" ]; do
    before=$size
    dd bs=65536 count=256 >> "$1/out" 2> /dev/null
    size "$1/out"
    [ "$size" -gt "$before" ] || break
  done
  wc -c > "$1/more"
)
trap '' HUP INT TERM
mv "$1/code" "$1/exit"
`;

/** Output that comes is noticed within this. */
const LOOK_MS = 100;
/** What holds the output open longer than this after the process's end was left behind by it. */
const STRAYS_MS = 300;
/** Between two looks at whether the number is still that of the process. */
const SAME_MS = 5_000;
/** How much is reported already is noted this often. */
const NOTE_MS = 1_000;
const START_MS = 10_000;
const CHUNK_BYTES = 64 * 1024;

const Process = v.object({ command: v.array(v.string()), cwd: v.string(), env: v.record(v.string(), v.string()) });

/** The keeper of a node. */
export function createKeeper(options: KeeperOptions): Keeper {
  const { folder, node, boot, env, toolsOf, endProcesses, outputBytes = KEPT_OUTPUT_BYTES } = options;
  const folderOf = (command: string) => `${folder}/${command}`;
  const keptOf = async (command: string, sameBoot: boolean) => {
    const text = await textOf(`${folderOf(command)}/pid`);
    if (text === undefined) return undefined;
    const [pid = "", since = ""] = text.trim().split(" ");
    const startedAt = (await Deno.stat(`${folderOf(command)}/pid`)).mtime?.getTime() ?? Date.now();
    const leader = sameBoot && since !== "" ? { pid: Number(pid), since } : undefined;
    const ended = await textOf(`${folderOf(command)}/code`) !== undefined ||
      await textOf(`${folderOf(command)}/exit`) !== undefined;
    return new KeptProcess(options, {
      folder: folderOf(command),
      mark: markOf(node, command),
      leader,
      startedAt,
      ended,
    });
  };
  return {
    boot,
    find: (command, { sameBoot }) => keptOf(command, sameBoot),
    async start(capability, command, process) {
      const told = v.parse(Process, process);
      // Its Worker may start nothing else, and neither may we for it.
      if (!toolsOf(capability.name).includes(told.command[0] ?? "")) {
        throw new XtaskError("forbidden", `${capability.name} may not start '${told.command[0]}'`);
      }
      const own = folderOf(command);
      await Deno.mkdir(own, { recursive: true, mode: 0o700 });
      const child = new Deno.Command("/bin/sh", {
        args: ["-c", SCRIPT, "xtask-kept", own, String(outputBytes), ...told.command],
        cwd: told.cwd,
        env: environmentOf({ ...env, ...told.env }, { node, command, attempt: 1 }),
        clearEnv: true,
        stdin: "null",
        stdout: "null",
        stderr: "null",
        detached: true,
      }).spawn();
      // Whether it has ended is read from its folder; here it is only buried.
      child.unref();
      let ended = false;
      void child.status.then(() => ended = true);
      const within = AbortSignal.timeout(START_MS);
      for (;;) {
        const last = ended || within.aborted;
        const kept = await keptOf(command, true);
        if (kept !== undefined) return kept;
        if (last) {
          await endProcesses({ groups: [child.pid], mark: markOf(node, command) });
          throw new XtaskError("exhausted", `${own} cannot be written`, { details: ["is the disk full?"] });
        }
        await pause(10, within);
      }
    },
    async sweep(wanted) {
      for (const command of await namesIn(folder)) {
        if (!wanted(command)) await Deno.remove(folderOf(command), { recursive: true });
      }
    },
  };
}

interface Place {
  readonly folder: string;
  readonly mark: string;
  /** The script's shell, which leads the group. Undefined where it cannot live any more. */
  readonly leader: { readonly pid: number; readonly since: string } | undefined;
  readonly startedAt: number;
  readonly ended: boolean;
}

class KeptProcess implements Kept {
  readonly startedAt: number;
  readonly ended: boolean;
  readonly #options: KeeperOptions;
  readonly #place: Place;
  #ending: Promise<unknown> | undefined;
  #endedSince: number | undefined;
  /** It was gone before it could say how it ended: what it says when we end the rest of it is not its own doing. */
  #vanished = false;
  #sameAt = -SAME_MS;
  #notedAt = 0;
  #noted = 0;

  constructor(options: KeeperOptions, place: Place) {
    this.#options = options;
    this.#place = place;
    this.startedAt = place.startedAt;
    this.ended = place.ended;
  }

  async watch(watching: Watching): Promise<KeptEnd | undefined> {
    const { signal, leaving } = watching;
    const { folder } = this.#place;
    const stop = AbortSignal.any([signal, leaving]);
    const end = () => void this.end();
    signal.addEventListener("abort", end, { once: true });
    try {
      using output = new OutputFile(`${folder}/out`);
      this.#noted = Number(await textOf(`${folder}/reported`) ?? 0);
      await output.copy(this.#noted, (bytes) => Promise.resolve(watching.recall(bytes)));
      for (;;) {
        const over = await this.#over(signal);
        // Looked at first: what was written before its end is read now.
        if (over) await this.end();
        await output.copy(Infinity, watching.take, over ? leaving : stop);
        if (leaving.aborted) await watching.flush();
        await this.#note(watching.reported(), leaving.aborted);
        if (leaving.aborted) return undefined;
        if (over) return await this.#told();
        await pause(LOOK_MS, stop);
      }
    } finally {
      signal.removeEventListener("abort", end);
    }
  }

  async remove(): Promise<void> {
    await Deno.remove(this.#place.folder, { recursive: true });
  }

  /** Whether nothing more will come of it. */
  async #over(signal: AbortSignal): Promise<boolean> {
    const { folder } = this.#place;
    // Asked first: one that says how it ended does so before it is gone.
    const lives = await this.#lives();
    if (signal.aborted || await textOf(`${folder}/exit`) !== undefined) return true;
    const ended = await textOf(`${folder}/code`) !== undefined;
    this.#vanished = !lives && !ended;
    if (ended) this.#endedSince ??= performance.now();
    return !lives || performance.now() - (this.#endedSince ?? Infinity) > STRAYS_MS;
  }

  async #lives(): Promise<boolean> {
    const { leader } = this.#place;
    if (leader === undefined || !sendSignal(leader.pid, 0)) return false;
    const now = performance.now();
    if (now - this.#sameAt < SAME_MS) return true;
    const since = await startOf(leader.pid);
    // A machine that is too busy to tell is no reason to end it.
    if (since === undefined) return true;
    this.#sameAt = now;
    return since === leader.since;
  }

  /** Ends what is left of it, once. */
  end(): Promise<unknown> {
    return this.#ending ??= (async () => {
      const { leader, mark } = this.#place;
      const since = leader === undefined ? undefined : await startOf(leader.pid);
      // Where the leader is gone the number stays taken for as long as its group has a process.
      const ours = leader !== undefined && (!since || since === leader.since);
      return await this.#options.endProcesses({ groups: ours ? [leader.pid] : [], mark }, {
        graceMs: this.#options.graceMs,
      });
    })();
  }

  async #told(): Promise<KeptEnd> {
    const { folder } = this.#place;
    // In this order, since the one becomes the other.
    const code = await textOf(`${folder}/code`) ?? await textOf(`${folder}/exit`);
    const ended = await Deno.stat(`${folder}/code`).catch(() => Deno.stat(`${folder}/exit`)).catch(() => undefined);
    return {
      exitCode: code === undefined || this.#vanished ? undefined : Number(code),
      lost: Number(await textOf(`${folder}/more`) ?? 0),
      endedAt: ended?.mtime?.getTime(),
    };
  }

  /** Notes how much is reported. A note that is lost costs repeats, which readers pass over. */
  async #note(bytes: number, now: boolean): Promise<void> {
    if (bytes <= this.#noted || !now && performance.now() - this.#notedAt < NOTE_MS) return;
    const { folder } = this.#place;
    this.#noted = bytes;
    this.#notedAt = performance.now();
    await Deno.writeTextFile(`${folder}/reported.new`, String(bytes));
    await Deno.rename(`${folder}/reported.new`, `${folder}/reported`);
  }
}

/** The output as it is written. */
class OutputFile implements Disposable {
  readonly #path: string;
  #file: Deno.FsFile | undefined;
  #at = 0;

  constructor(path: string) {
    this.#path = path;
  }

  /** Hands over what there is up to an offset, or until the signal fires. */
  async copy(
    to: number,
    take: (bytes: Uint8Array<ArrayBuffer>) => Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    try {
      this.#file ??= await Deno.open(this.#path);
    } catch (error) {
      // The script has not come so far.
      if (error instanceof Deno.errors.NotFound) return;
      throw error;
    }
    while (this.#at < to && !signal?.aborted) {
      const bytes = new Uint8Array(Math.min(CHUNK_BYTES, to - this.#at));
      const count = await this.#file.read(bytes);
      if (count === null) return;
      this.#at += count;
      await take(bytes.subarray(0, count));
    }
  }

  [Symbol.dispose](): void {
    this.#file?.close();
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}
