import assert from "node:assert/strict";
import { until } from "../../tests/until.ts";
import { endProcesses, MARK, markOf, sendSignal, survivors } from "./processes.ts";

const UNIX = { ignore: Deno.build.os === "windows" };
/** `setsid` is what a daemon calls to leave its group; only Linux has it as a program. */
const LINUX = { ignore: Deno.build.os !== "linux" };

/** A process of a run, as the leader of a group of its own, which prints the ids of what it starts. */
interface Started extends AsyncDisposable {
  readonly pid: number;
  readonly mark: string;
  /** The next process id that it prints. */
  printed(): Promise<number>;
  readonly ended: Promise<Deno.CommandStatus>;
}

function start(script: string, mark = markOf("n1", crypto.randomUUID())): Started {
  const child = new Deno.Command("sh", {
    args: ["-c", script],
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", [MARK]: mark },
    clearEnv: true,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
    detached: true,
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    pid: child.pid,
    mark,
    async printed() {
      while (!text.includes("\n")) {
        const { value, done } = await lines.read();
        if (done) throw new Error(`It printed nothing more than '${text}'`);
        text += value;
      }
      const end = text.indexOf("\n");
      const pid = Number(text.slice(0, end));
      text = text.slice(end + 1);
      return pid;
    },
    ended: child.status,
    async [Symbol.asyncDispose]() {
      await endProcesses({ groups: [child.pid], mark }, { graceMs: 0 });
      await lines.cancel();
      await child.status;
    },
  };
}

/** Living, and no zombie. */
async function lives(pid: number): Promise<boolean> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "stat=", "-p", String(pid)] }).output();
  const state = new TextDecoder().decode(stdout).trim();
  return state !== "" && !state.startsWith("Z");
}

Deno.test("a whole group is ended, and its leader's exit seen", UNIX, async () => {
  await using run = start("sleep 60 & echo $!; sleep 60 & echo $!; wait");
  const pids = [run.pid, await run.printed(), await run.printed()];
  assert.deepEqual((await survivors({ groups: [run.pid] })).sort(), pids.toSorted());
  assert.deepEqual(await endProcesses({ groups: [run.pid] }), []);
  await run.ended;
  for (const pid of pids) assert.ok(!await lives(pid), `${pid} lives`);
});

Deno.test("what ignores SIGTERM is killed after the grace", UNIX, async () => {
  await using run = start("trap '' TERM; echo $$; while :; do sleep 0.05; done");
  await run.printed();
  const begun = performance.now();
  assert.deepEqual(await endProcesses({ groups: [run.pid] }, { graceMs: 200 }), []);
  assert.ok(performance.now() - begun >= 200, "it was given its grace");
  await run.ended;
});

Deno.test("what ends on SIGTERM is given the time to do so in its own way", UNIX, async () => {
  await using run = start("trap 'exit 7' TERM; echo $$; while :; do sleep 0.05; done");
  await run.printed();
  assert.deepEqual(await endProcesses({ groups: [run.pid] }), []);
  assert.equal((await run.ended).code, 7);
});

Deno.test("grandchildren that left the group by setsid, forked twice, are ended by the run's mark", LINUX, async () => {
  // The inner sh ends at once, so that the sleep is adopted by whoever adopts orphans.
  await using run = start("setsid sh -c 'setsid sh -c \"echo \\$\\$; exec sleep 60\" & exit' & wait; exec sleep 60");
  const grandchild = await run.printed();
  assert.deepEqual(await survivors({ groups: [grandchild] }), [grandchild], "it leads a group of its own");
  // The shells between end in their own time, and what becomes another program shows no mark for a moment.
  const both = [run.pid, grandchild].sort().join();
  await until(
    "these two alone",
    async () => (await survivors({ groups: [], mark: run.mark })).sort().join() === both,
  );
  assert.deepEqual(await endProcesses({ groups: [run.pid], mark: run.mark }), []);
  assert.ok(!await lives(grandchild));
});

Deno.test("a grandchild is found after all of its ancestors have ended", LINUX, async () => {
  await using run = start("setsid sh -c 'echo $$; exec sleep 60' >&1 & exit");
  const grandchild = await run.printed();
  await run.ended;
  await until(
    "the orphan alone, once it runs sleep",
    async () => (await survivors({ groups: [run.pid], mark: run.mark })).join() === String(grandchild),
  );
  assert.deepEqual(await endProcesses({ groups: [run.pid], mark: run.mark }), []);
  assert.ok(!await lives(grandchild));
});

Deno.test(
  "one that shows its environment only after a first look, as where it becomes another program, is found",
  LINUX,
  async () => {
    const dir = await Deno.makeTempDir();
    const mark = markOf("n1", crypto.randomUUID());
    const stray = new Deno.Command("sh", {
      args: ["-c", `until [ -e "$0/go" ]; do :; done; exec env "$1" sleep 60`, dir, `${MARK}=${mark}`],
      clearEnv: true,
      detached: true,
      stdin: "null",
    }).spawn();
    const environment = () => Deno.readTextFileSync(`/proc/${stray.pid}/environ`);
    try {
      await until("the shell", async () => (await Deno.readTextFile(`/proc/${stray.pid}/comm`)).startsWith("sh"));
      assert.equal(environment(), "");
      const ending = endProcesses({ groups: [], mark });
      // The first look is over, and no other can begin meanwhile.
      Deno.writeTextFileSync(`${dir}/go`, "");
      while (!environment().includes(mark));
      assert.deepEqual(await ending, []);
      assert.ok(!await lives(stray.pid));
    } finally {
      sendSignal(stray.pid, "SIGKILL");
      await stray.status;
      await Deno.remove(dir, { recursive: true });
    }
  },
);

Deno.test(
  "processes of another run, of another node's run of the same command, and of nobody's are not touched",
  UNIX,
  async () => {
    await using mine = start("echo $$; exec sleep 60", markOf("n1", "c1-unit"));
    await using others = start("echo $$; exec sleep 60", markOf("n1", "c1-unit2"));
    await using neighbours = start("echo $$; exec sleep 60", markOf("n12", "c1-unit"));
    for (const run of [mine, others, neighbours]) await run.printed();
    assert.deepEqual(await endProcesses({ groups: [mine.pid], mark: mine.mark }), []);
    await mine.ended;
    assert.ok(await lives(others.pid) && await lives(neighbours.pid));
  },
);

Deno.test("zombies are dead: one that nobody buries is not waited for", LINUX, async () => {
  // The group's leader stops being a shell, which would bury its child, before that one ends.
  await using run = start("sleep 0.3 & echo $!; exec sleep 60");
  const zombie = await run.printed();
  await until("the zombie", async () => /\) Z /.test(await Deno.readTextFile(`/proc/${zombie}/stat`)));
  assert.deepEqual(await survivors({ groups: [run.pid], mark: run.mark }), [run.pid]);
});

Deno.test("nothing to end is ended at once, and a process that is gone takes no signal", UNIX, async () => {
  const run = start("exit 0");
  await run[Symbol.asyncDispose]();
  assert.deepEqual(await endProcesses({ groups: [run.pid], mark: run.mark }), []);
  assert.deepEqual(await endProcesses({ groups: [] }), []);
  assert.equal(sendSignal(run.pid, "SIGTERM"), false);
  assert.equal(sendSignal(Deno.pid, 0), true);
});

Deno.test("the mark of this process itself does not make it end itself", LINUX, async () => {
  const mark = markOf("n1", crypto.randomUUID());
  const script = `
    import { endProcesses, survivors } from ${JSON.stringify(import.meta.resolve("./processes.ts"))};
    const owned = { groups: [], mark: ${JSON.stringify(mark)} };
    await endProcesses(owned, { graceMs: 0 });
    Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify(await survivors(owned))));
  `;
  const { code, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", "--ext=ts", script],
    env: { [MARK]: mark },
    stderr: "inherit",
  }).output();
  assert.deepEqual([code, new TextDecoder().decode(stdout)], [0, "[]"]);
});
