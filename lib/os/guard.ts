/**
 * What outlives this process when it is killed: nothing of what it started. A small shell waits at the end of a pipe that
 * only this process holds; the system closes it with the process, however that ends, and the shell then ends the process
 * groups that it was told of and whatever carries the guard's mark. The mark is in the environment of a process from its
 * first moment on, so that one which was started and never told of is found as well. Native code could have the kernel do
 * this; a compiled xtask may load none.
 *
 * A run under a lease must also end where this process lives and stands still, so the shell is told how long each may go on,
 * anew with each renewal. The time is counted by `sleep`, which on most systems stands still with a machine that sleeps; where
 * there is none, nothing is ended for that.
 */
import { pause } from "./pause.ts";
import { MARK } from "./processes.ts";
import { SINCE } from "./started.ts";

/** The environment variable that marks every process which ends with this one. */
export const GUARD_MARK = "XTASK_GUARD";

/** A watching process. Disposing it sends it away; what was begun and has not ended is ended then. */
export interface Guard extends AsyncDisposable {
  /** To be in the environment of every process that is to end with this one. */
  readonly env: Readonly<Record<string, string>>;
  /** Of the shell that watches. */
  readonly pid: number;
  /** The leader of a process group has been started, for a run of this mark. Resolves when the guard will not miss it. */
  began(leader: number, run?: string): Promise<void>;
  /** The group is gone. */
  ended(leader: number): Promise<void>;
  /** How long runs may go on unless this is told again. It replaces what was told before; others have no end. */
  bound(runs: readonly BoundRun[]): Promise<void>;
}

/** A run that may go on for so long only. */
export interface BoundRun {
  /** Its mark: see `markOf`. */
  readonly run: string;
  /** It is asked to end after so many ms from now… */
  readonly askMs: number;
  /** …and what still lives of it is killed after so many. */
  readonly killMs: number;
}

/** Where a shell is, for when PATH does not say. */
const SHELLS = ["/bin/sh", "sh"];
/** The shell's own: it must find `ps`, `grep` and `sleep`, and carry no mark. */
const ENV = { PATH: "/usr/bin:/bin:/usr/sbin:/sbin" };
/** One that died is started again after this long. */
const RESTART_MS = 1_000;

/**
 * Reads the mark, then `+ LEADER [RUN]`, `- LEADER` and `bound [STEP…]`, until `bye` or the end. A group is known by the
 * start time of its leader as well, so that a later process with the same number is left alone; where the leader is gone, the
 * number stays taken for as long as the group has a process. So one that was gone when the shell heard of it, which can be
 * late, lives no more however that number is used. It looks on for half a second after it has found nothing: the one that
 * was killed may have been about to start something.
 *
 * A step is `SECONDS:SIGNAL:RUN[,RUN…]`, the seconds since the step before. Another process waits for them, since `read` waits
 * without a limit in some shells. It ends when it is told to by USR1 and no sooner, so that its number stays its own, and
 * does nothing where the shell that started it is gone: another one may know better. Where `sleep` knows whole seconds
 * only, it is the shorter one.
 */
const SCRIPT = `
trap '' HUP INT QUIT TERM PIPE
proc=; [ -r /proc/self/environ ] && proc=yes
${SINCE}
groups=' ' watcher=
forget() {
  case "$groups" in *" $1:"*) ;; *) return ;; esac
  behind=\${groups#*" $1:"}
  groups="\${groups%%" $1:"*} \${behind#* }"
}
left() {
  ours= texts=
  for group in $groups; do
    leader=\${group%%:*} rest=\${group#*:}
    run=\${rest%%:*} was=\${rest#*:}
    [ $# -eq 0 ] || case " $* " in *" $run "*) ;; *) continue ;; esac
    since "$leader"
    [ "$started" ] && [ "$started" != "$was" ] && continue
    ours="$ours|$leader"
  done
  for run; do texts="$texts ${MARK}=$run"; done
  set --
  for text in \${texts:=${GUARD_MARK}=$mark}; do set -- "$@" -e "$text"; done
  if [ "$proc" ] && command -v grep >&2; then
    {
      grep -lszF "$@" /proc/[0-9]*/environ
      [ "$ours" ] && grep -lszE "\\\\) [^ZX] [0-9]+ (\${ours#|}) [^)]*$" /proc/[0-9]*/stat
    } | while IFS=/ read -r x x pid x; do echo "$pid"; done
  elif command -v ps >&2; then
    { ps axEww -o pid=,pgid=,stat=,command= || ps axeww -o pid=,pgid=,stat=,command=; } | while read -r pid group state command; do
      case "$state" in Z*) continue ;; esac
      case "$ours|" in *"|$group|"*) echo "$pid"; continue ;; esac
      for text in $texts; do
        case " $command " in *" $text "*) echo "$pid" ;; esac
      done
    done
  else
    IFS='|'
    for leader in $ours; do [ "$leader" ] && kill -s 0 -- "-$leader" && echo "-$leader"; done
  fi
}
nap() {
  sleep "$1" & sleeper=$!
  wait "$sleeper" || { sleep "\${1%.*}" & sleeper=$!; wait "$sleeper"; } || exit 0
  sleeper=
  since $$
  [ "$started" = "$self" ] || exit 0
}
watch() {
  sleeper= ifs=$IFS
  trap '[ "$sleeper" ] && kill -s KILL "$sleeper"; exit 0' USR1
  for step; do
    IFS=:,
    set -- $step
    IFS=$ifs
    nap "$1"
    signal=$2 found=yes round=0
    shift 2
    while [ "$found" ] && [ $round -lt 20 ]; do
      found=
      for pid in $(left "$@"); do
        kill -s "$signal" -- "$pid" && found=yes
      done
      [ $signal = KILL ] || break
      [ "$found" ] && nap 0.1
      round=$((round + 1))
    done
  done
  while :; do nap 60; done
}
unwatch() {
  [ "$watcher" ] || return
  kill -s USR1 "$watcher"
  wait "$watcher"
  watcher=
}
read -r mark || exit 0
since $$
self=$started
echo ready
exec >/dev/null 2>&1
while read -r word first rest; do
  case $word in
    +) forget "$first"; since "$first"; groups="$groups$first:$rest:$started " ;;
    -) forget "$first" ;;
    bound)
      unwatch
      [ "$first" ] && command -v sleep && { watch $first $rest & watcher=$!; }
      ;;
    bye) unwatch; exit 0 ;;
  esac
done
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
unwatch
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
  /** Which bounds it has been told. */
  bounds: Bounds;
}

interface Bounds {
  readonly runs: readonly BoundRun[];
  /** By `performance.now()`. */
  readonly at: number;
}

const NO_BOUNDS: Bounds = { runs: [], at: 0 };

class ShellGuard implements Guard {
  readonly env: Readonly<Record<string, string>>;
  readonly #mark: string;
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #shell: Shell;
  /** Leaders, each with a number of its own: the system gives process ids again. */
  readonly #living = new Map<number, { readonly number: number; readonly run: string | undefined }>();
  #next = 0;
  #bounds = NO_BOUNDS;
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

  began(leader: number, run?: string): Promise<void> {
    this.#living.set(leader, { number: this.#next++, run });
    return this.#telling ??= this.#tell();
  }

  ended(leader: number): Promise<void> {
    this.#living.delete(leader);
    return this.#telling ??= this.#tell();
  }

  bound(runs: readonly BoundRun[]): Promise<void> {
    this.#bounds = { runs, at: performance.now() };
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
    const shell = this.#shell;
    const { words, told } = shell;
    try {
      for (;;) {
        const gone = [...told].filter(([leader, number]) => this.#living.get(leader)?.number !== number);
        for (const [leader] of gone) told.delete(leader);
        const come = [...this.#living].filter(([leader]) => !told.has(leader));
        for (const [leader, { number }] of come) told.set(leader, number);
        const bounds = this.#bounds;
        // Whoever waits for the end of runs knows only of groups that were there when it began to.
        const grown = come.some(([, { run }]) => bounds.runs.some((bound) => bound.run === run));
        const lines = [
          ...gone.map(([leader]) => `- ${leader}`),
          ...come.map(([leader, { run = "" }]) => `+ ${leader} ${run}`.trimEnd()),
          ...(grown || bounds !== shell.bounds ? [`bound ${stepsOf(bounds)}`.trimEnd()] : []),
        ];
        if (lines.length === 0) break;
        shell.bounds = bounds;
        await words.write(new TextEncoder().encode(lines.map((line) => `${line}\n`).join("")));
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

/** What is to be done and when, in order: what comes at once goes together. */
function stepsOf({ runs, at }: Bounds): string {
  const passedMs = performance.now() - at;
  const due = new Map<number, { readonly signal: string; readonly runs: string[] }[]>();
  for (const { run, askMs, killMs } of runs) {
    for (const { signal, ms } of [{ signal: "TERM", ms: askMs }, { signal: "KILL", ms: killMs }]) {
      const hundredths = Math.max(0, Math.floor((ms - passedMs) / 10));
      const then = due.get(hundredths) ?? [];
      due.set(hundredths, then);
      const together = then.find((step) => step.signal === signal);
      if (together === undefined) then.push({ signal, runs: [run] });
      else together.runs.push(run);
    }
  }
  let before = 0;
  return [...due].sort(([one], [other]) => one - other).flatMap(([hundredths, then]) =>
    then.map(({ signal, runs }) => {
      const seconds = ((hundredths - before) / 100).toFixed(2);
      before = hundredths;
      return `${seconds}:${signal}:${runs.join(",")}`;
    })
  ).join(" ");
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
    if (await written && !answered.done) {
      return { pid: child.pid, status: child.status, words, told: new Map(), bounds: NO_BOUNDS };
    }
    await words.abort().catch(() => {});
    await child.status;
  }
  return undefined;
}
