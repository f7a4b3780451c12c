/**
 * What outlives this process when it is killed: nothing of what it started. A small shell waits at the end of a pipe that
 * only this process holds; the system closes it with the process, however that ends, and the shell then ends the process
 * groups that it was told of and whatever carries the guard's mark. The mark is in the environment of a process from its
 * first moment on, so that one which was started and never told of is found as well. Native code could have the kernel do
 * this; a compiled xtask may load none.
 */
import { pause } from "./pause.ts";
import { SINCE } from "./started.ts";

/** The environment variable that marks every process which ends with this one. */
export const GUARD_MARK = "XTASK_GUARD";

/** A watching process. Disposing it sends it away; what was begun and has not ended is ended then. */
export interface Guard extends AsyncDisposable {
  /** To be in the environment of every process that is to end with this one. */
  readonly env: Readonly<Record<string, string>>;
  /** Of the shell that watches. */
  readonly pid: number;
  /** The leader of a process group has been started. Resolves when the guard will not miss it. */
  began(leader: number): Promise<void>;
  /** The group is gone. */
  ended(leader: number): Promise<void>;
}

/** Where a shell is, for when PATH does not say. */
const SHELLS = ["/bin/sh", "sh"];
/** The shell's own: it must find `ps`, `grep` and `sleep`, and carry no mark. */
const ENV = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" };
/** One that died is started again after this long. */
const RESTART_MS = 1_000;

/**
 * Reads the mark, then `+ LEADER` and `- LEADER`, until `bye` or the end. A group is known by the start time of its leader
 * as well, so that a later process with the same number is left alone; where the leader is gone, the number stays taken
 * for as long as the group has a process. So one that was gone when the shell heard of it, which can be late, lives no more
 * however that number is used. It looks on for half a second after it has found nothing: the one that was
 * killed may have been about to start something.
 */
const SCRIPT = `
trap '' HUP INT QUIT TERM PIPE
proc=; [ -r /proc/self/environ ] && proc=yes
${SINCE}
groups=' '
forget() {
  case "$groups" in *" $1:"*) ;; *) return ;; esac
  rest=\${groups#*" $1:"}
  groups="\${groups%%" $1:"*} \${rest#* }"
}
read -r mark || exit 0
echo ready
exec >/dev/null 2>&1
while read -r word leader; do
  case $word in
    +) forget "$leader"; since "$leader"; groups="$groups$leader:$started " ;;
    -) forget "$leader" ;;
    bye) exit 0 ;;
  esac
done
left() {
  ours=
  for group in $groups; do
    leader=\${group%%:*} was=\${group#*:}
    since "$leader"
    [ "$started" ] && [ "$started" != "$was" ] && continue
    ours="$ours|$leader"
  done
  if [ "$proc" ] && command -v grep >&2; then
    {
      grep -lszF -e "${GUARD_MARK}=$mark" /proc/[0-9]*/environ
      [ "$ours" ] && grep -lszE "\\\\) [^ZX] [0-9]+ (\${ours#|}) [^)]*$" /proc/[0-9]*/stat
    } | while IFS=/ read -r x x pid x; do echo "$pid"; done
  elif command -v ps >&2; then
    { ps axEww -o pid=,pgid=,stat=,command= || ps axeww -o pid=,pgid=,stat=,command=; } | while read -r pid group state command; do
      case "$state" in Z*) continue ;; esac
      case "$ours|" in *"|$group|"*) echo "$pid"; continue ;; esac
      case " $command " in *" ${GUARD_MARK}=$mark "*) echo "$pid" ;; esac
    done
  else
    IFS='|'
    for leader in $ours; do [ "$leader" ] && kill -s 0 -- "-$leader" && echo "-$leader"; done
  fi
}
round=0 quiet=0 asked=' '
while [ $quiet -lt 5 ] && [ $round -lt 100 ]; do
  quiet=$((quiet + 1))
  for pid in $(left); do
    quiet=0
    if [ $round -ge 30 ]; then
      kill -s KILL -- "$pid"
    else
      case "$asked" in *" $pid "*) ;; *) kill -s TERM -- "$pid"; asked="$asked$pid " ;; esac
    fi
  done
  round=$((round + 1))
  sleep 0.1 || sleep 1
done
`;

/**
 * Starts a guard; undefined where there is no shell, as on Windows or in a bare container.
 *
 * @param onTrouble Hears that the shell died, and whether there is another one
 */
export async function startGuard(onTrouble: (message: string) => void): Promise<Guard | undefined> {
  const mark = crypto.randomUUID();
  const first = await launch(mark);
  return first === undefined ? undefined : new ShellGuard(mark, first, onTrouble);
}

interface Shell {
  readonly pid: number;
  readonly status: Promise<Deno.CommandStatus>;
  readonly words: WritableStreamDefaultWriter<Uint8Array>;
  /** What it has been told of, with the numbers of `#living`. */
  readonly told: Map<number, number>;
}

class ShellGuard implements Guard {
  readonly env: Readonly<Record<string, string>>;
  readonly #mark: string;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #shell: Shell;
  /** Leaders, each with a number of its own: the system gives process ids again. */
  readonly #living = new Map<number, number>();
  #next = 0;
  #telling: Promise<void> | undefined;

  constructor(mark: string, shell: Shell, onTrouble: (message: string) => void) {
    this.env = { [GUARD_MARK]: mark };
    this.#mark = mark;
    this.#shell = shell;
    this.#done = this.#supervise(onTrouble);
  }

  get pid(): number {
    return this.#shell.pid;
  }

  began(leader: number): Promise<void> {
    this.#living.set(leader, this.#next++);
    return this.#telling ??= this.#tell();
  }

  ended(leader: number): Promise<void> {
    this.#living.delete(leader);
    return this.#telling ??= this.#tell();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#stop.signal.aborted) {
      this.#stop.abort();
      await this.#telling;
      const { words } = this.#shell;
      // One that is gone cannot be told; there is then nothing that it could do.
      if (this.#living.size === 0) await words.write(new TextEncoder().encode("bye\n")).catch(() => {});
      await words.close().catch(() => {});
    }
    await this.#done;
  }

  /** Tells what has changed. What comes while it is being told goes along next, so that no more waits than there is. */
  async #tell(): Promise<void> {
    // What is said in one turn goes together.
    await undefined;
    const { words, told } = this.#shell;
    try {
      for (;;) {
        const gone = [...told].filter(([leader, number]) => this.#living.get(leader) !== number);
        for (const [leader] of gone) told.delete(leader);
        const come = [...this.#living].filter(([leader]) => !told.has(leader));
        for (const [leader, number] of come) told.set(leader, number);
        if (gone.length === 0 && come.length === 0) break;
        const lines = [...gone.map(([leader]) => `- ${leader}\n`), ...come.map(([leader]) => `+ ${leader}\n`)];
        await words.write(new TextEncoder().encode(lines.join("")));
      }
    } catch {
      // It is gone, which its status tells; the next one is told everything.
    }
    this.#telling = undefined;
  }

  async #supervise(onTrouble: (message: string) => void): Promise<void> {
    const { signal } = this.#stop;
    for (;;) {
      await this.#shell.status;
      if (signal.aborted) return;
      await this.#shell.words.abort().catch(() => {});
      await pause(RESTART_MS, signal);
      if (signal.aborted) return;
      const next = await launch(this.#mark);
      if (next === undefined) return onTrouble("the process that ends runs after a kill of the agent died for good");
      onTrouble("the process that ends runs after a kill of the agent died, and was started again");
      this.#shell = next;
      if (signal.aborted) {
        await next.words.close();
        continue;
      }
      await this.#telling;
      this.#telling = this.#tell();
    }
  }
}

/** A shell that has said that it watches, in a session of its own: what is meant for our group or terminal misses it. */
async function launch(mark: string): Promise<Shell | undefined> {
  if (Deno.build.os === "windows") return undefined;
  for (const program of SHELLS) {
    let child: Deno.ChildProcess;
    try {
      child = new Deno.Command(program, {
        args: ["-c", SCRIPT, "xtask-guard"],
        env: ENV,
        clearEnv: true,
        cwd: "/",
        stdin: "piped",
        stdout: "piped",
        stderr: "null",
        detached: true,
      }).spawn();
    } catch (error) {
      // One that may not be run is as good as none.
      if (!(error instanceof Deno.errors.NotFound || error instanceof Deno.errors.PermissionDenied)) throw error;
      continue;
    }
    const words = child.stdin.getWriter();
    const said = child.stdout.getReader();
    const written = words.write(new TextEncoder().encode(`${mark}\n`)).then(() => true, () => false);
    const answered = await said.read();
    await said.cancel();
    if (await written && !answered.done) return { pid: child.pid, status: child.status, words, told: new Map() };
    await words.abort().catch(() => {});
    await child.status;
  }
  return undefined;
}
