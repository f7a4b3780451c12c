import assert from "node:assert/strict";
import { until } from "../../tests/until.ts";
import { GUARD_MARK, startGuard } from "./guard.ts";
import { MARK, sendSignal } from "./processes.ts";

const UNIX = { ignore: Deno.build.os === "windows" };
const LINUX = { ignore: Deno.build.os !== "linux" };

/** Living, and no zombie. */
async function lives(pid: number): Promise<boolean> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "stat=", "-p", String(pid)] }).output();
  const state = new TextDecoder().decode(stdout).trim();
  return state !== "" && !state.startsWith("Z");
}

const gone = (pid: number) => until(`process ${pid} to be gone`, async () => !await lives(pid), { timeoutMs: 60_000 });

interface Guarded extends AsyncDisposable {
  readonly child: Deno.ChildProcess;
  /** What it prints, a line of JSON each. */
  said<T>(): Promise<T>;
}

/** A program that starts a guard and runs `code`. `start(argv, env)` starts a leader of a group of its own. */
function guardedProgram(code: string): string {
  return `
    import { startGuard } from ${JSON.stringify(import.meta.resolve("./guard.ts"))};
    const guard = await startGuard(console.error);
    const env = { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" };
    const start = ([program, ...args], more = {}) => new Deno.Command(program, {
      args, env: { ...env, ...more }, clearEnv: true, detached: true, stdin: "null", stdout: "null", stderr: "null",
    }).spawn().pid;
    const say = (value) => console.log(JSON.stringify(value));
    ${code}
  `;
}

/** Such a program, which stays until it is killed. */
function guarded(code: string): Guarded {
  const script = guardedProgram(`${code}\nsetInterval(() => {}, 1_000);`);
  const child = new Deno.Command(Deno.execPath(), {
    args: ["eval", "--no-config", "--ext=ts", script],
    stdout: "piped",
  }).spawn();
  const lines = child.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  return {
    child,
    async said() {
      while (!text.includes("\n")) {
        const { value, done } = await lines.read();
        if (done) throw new Error(`It said nothing more than '${text}'`);
        text += value;
      }
      const [line = "", ...rest] = text.split("\n");
      text = rest.join("\n");
      return JSON.parse(line);
    },
    async [Symbol.asyncDispose]() {
      try {
        child.kill("SIGKILL");
      } catch (error) {
        if (!(error instanceof TypeError)) throw error;
      }
      await child.status;
      await lines.cancel();
    },
  };
}

/** A shell that leaves a child in its group, then one that forked twice into a session of its own; then stays. */
const FAMILY = `sleep 300 & (setsid sh -c 'exec sleep 300' &) ; wait; sleep 300`;

Deno.test("what a killed program started is gone within seconds, told of or not", LINUX, async () => {
  await using run = guarded(`
    const told = start(["sh", "-c", ${JSON.stringify(FAMILY)}], guard.env);
    await guard.began(told);
    // Never told of, as where the program dies right after it has started something.
    const untold = start(["sh", "-c", ${JSON.stringify(FAMILY)}], guard.env);
    // Known by its group alone.
    const wiped = start(["sh", "-c", "sleep 300 & wait"]);
    await guard.began(wiped);
    const others = start(["sleep", "300"]);
    say({ guard: guard.pid, mine: [told, untold, wiped], others, mark: guard.env.${GUARD_MARK} });
  `);
  const { guard, mine, others, mark } = await run.said<
    { guard: number; mine: number[]; others: number; mark: string }
  >();
  try {
    const marked = async () => {
      const { stdout } = await new Deno.Command("grep", { args: ["-lsz", `${GUARD_MARK}=${mark}`, ...procs()] })
        .output();
      return new TextDecoder().decode(stdout).split("\n").filter((line) => line !== "").length;
    };
    await until("both families", async () => await marked() === 6);
    run.child.kill("SIGKILL");
    for (const pid of [...mine, guard]) await gone(pid);
    assert.equal(await marked(), 0);
    assert.ok(await lives(others), "what is not its own is left alone");
  } finally {
    sendSignal(others, "SIGKILL");
  }
});

const procs = () =>
  [...Deno.readDirSync("/proc")].filter(({ name }) => /^\d+$/.test(name)).map(({ name }) => `/proc/${name}/environ`);

Deno.test("what does not end when it is asked is killed after a grace", UNIX, async () => {
  await using run = guarded(`
    const deaf = start(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"], guard.env);
    await guard.began(deaf);
    say(deaf);
  `);
  const deaf = await run.said<number>();
  run.child.kill("SIGKILL");
  await gone(deaf);
});

/** Runs a program with a guard where the next process id can be chosen; undefined where there are no user namespaces. */
async function givenAgain(
  t: Deno.TestContext,
  began: string,
): Promise<{ first: number; second: number; after: string } | undefined> {
  const inside = ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "sh", "-c"];
  const enter = (script: string) =>
    new Deno.Command("unshare", { args: [...inside, script], stdout: "piped" }).output();
  if (!(await enter("echo 1 > /proc/sys/kernel/ns_last_pid")).success) {
    await t.step({ name: "there are no user namespaces here", ignore: true, fn: () => {} });
    return undefined;
  }
  const program = guardedProgram(`
    const first = new Deno.Command("sleep", { args: ["300"], detached: true }).spawn();
    const end = async () => {
      first.kill();
      await first.status;
      // Half a second later, as start times are counted in hundredths.
      await new Promise((resolve) => setTimeout(resolve, 500));
    };
    /** Resolves when the guard has taken what it is told: it reads a line after it, as it has done with the one before. */
    const heard = async (tell) => {
      const read = () => Number(/^rchar: (\\d+)$/m.exec(Deno.readTextFileSync(\`/proc/\${guard.pid}/io\`))[1]);
      const enough = read() + \`+ \${first.pid}\\n\`.length;
      await tell();
      await guard.began(start(["true"]));
      while (read() <= enough) await new Promise((resolve) => setTimeout(resolve, 5));
    };
    ${began}
    let [second, tries] = [0, 0];
    while (second !== first.pid && tries++ < 500) {
      if (second !== 0) Deno.kill(second, "SIGKILL");
      Deno.writeTextFileSync("/proc/sys/kernel/ns_last_pid", String(first.pid - 1));
      second = start(["sleep", "300"]);
    }
    say({ first: first.pid, second, guard: guard.pid });
    Deno.kill(Deno.pid, "SIGKILL");
  `);
  const file = await Deno.makeTempFile({ suffix: ".mjs" });
  await Deno.writeTextFile(file, program);
  const { stdout } = await enter(`
    said=$(${Deno.execPath()} run -A --no-config ${file}); echo "$said"
    while kill -0 "$(echo "$said" | sed 's/.*guard":\\([0-9]*\\).*/\\1/')"; do sleep 0.05; done
    kill -0 "$(echo "$said" | sed 's/.*second":\\([0-9]*\\).*/\\1/')" && echo lives
  `);
  await Deno.remove(file);
  const [said = "", after = ""] = new TextDecoder().decode(stdout).split("\n");
  const { first, second } = JSON.parse(said);
  return { first, second, after };
}

Deno.test("a number that the system gave to another process since is left alone", LINUX, async (t) => {
  const found = await givenAgain(
    t,
    `
    await heard(() => guard.began(first.pid));
    await end();
  `,
  );
  if (found === undefined) return;
  assert.equal(found.second, found.first, "the number was given again");
  assert.equal(found.after, "lives");
});

Deno.test("so it is where the guard heard of the first one only after that had ended", LINUX, async (t) => {
  const found = await givenAgain(
    t,
    `
    await heard(async () => {
      Deno.kill(guard.pid, "SIGSTOP");
      await guard.began(first.pid);
      await end();
      Deno.kill(guard.pid, "SIGCONT");
    });
  `,
  );
  if (found === undefined) return;
  assert.equal(found.second, found.first, "the number was given again");
  assert.equal(found.after, "lives");
});

Deno.test("a group that has ended is forgotten", UNIX, async () => {
  await using run = guarded(`
    const [one, two, three] = [1, 2, 3].map(() => start(["sleep", "300"]));
    await Promise.all([one, two, three].map((pid) => guard.began(pid)));
    await guard.ended(two);
    say([one, two, three]);
  `);
  const [one = 0, two = 0, three = 0] = await run.said<number[]>();
  try {
    run.child.kill("SIGKILL");
    await gone(one);
    await gone(three);
    assert.ok(await lives(two));
  } finally {
    sendSignal(two, "SIGKILL");
  }
});

Deno.test("a guard that is sent away goes, and ends nothing but what had not ended", UNIX, async () => {
  const start = () => new Deno.Command("sleep", { args: ["300"], detached: true }).spawn();
  const troubles: string[] = [];
  const [ended, left] = [start(), start()];
  {
    await using guard = await startGuard((message) => troubles.push(message));
    assert.ok(guard !== undefined);
    guard.began(ended.pid);
    guard.ended(ended.pid);
  }
  assert.ok(await lives(ended.pid));
  ended.kill("SIGKILL");
  const guard = await startGuard((message) => troubles.push(message));
  assert.ok(guard !== undefined);
  guard.began(left.pid);
  await guard[Symbol.asyncDispose]();
  await guard[Symbol.asyncDispose]();
  assert.ok(!await lives(guard.pid));
  assert.equal((await left.status).signal, "SIGTERM");
  await ended.status;
  assert.deepEqual(troubles, []);
});

Deno.test("a guard that was killed is replaced, and its successor knows what it knew", UNIX, async () => {
  await using run = guarded(`
    const child = start(["sleep", "300"]);
    await guard.began(child);
    const first = guard.pid;
    Deno.kill(first, "SIGKILL");
    while (guard.pid === first) await new Promise((resolve) => setTimeout(resolve, 20));
    await guard.began(start(["true"]));
    say(child);
  `);
  const child = await run.said<number>();
  run.child.kill("SIGKILL");
  await gone(child);
});

/** The environment of a process of a run. */
const MARKED = (run: string) => `{ ...guard.env, ${MARK}: ${JSON.stringify(run)} }`;

Deno.test(
  "runs that may go on for so long only end where whoever should tell that anew stands still",
  LINUX,
  async () => {
    await using run = guarded(`
    const told = start(["sh", "-c", ${JSON.stringify(FAMILY)}], ${MARKED("n1.a")});
    await guard.began(told, "n1.a");
    const bounds = ["n1.a", "n1.b"].map((run) => ({ run, askMs: 3_000, killMs: 4_000 }));
    await guard.bound(bounds);
    // Begun when the time runs already; known by its group alone; deaf.
    const wiped = start(["sh", "-c", "trap '' TERM; while :; do sleep 0.1; done"]);
    await guard.began(wiped, "n1.b");
    // Of the same run, and never told of.
    const untold = start(["sleep", "300"], ${MARKED("n1.b")});
    const others = start(["sleep", "300"], ${MARKED("n1.c")});
    await guard.began(others, "n1.c");
    say({ guard: guard.pid, mine: [told, wiped, untold], others });
  `);
    const { guard, mine, others } = await run.said<{ guard: number; mine: number[]; others: number }>();
    run.child.kill("SIGSTOP");
    for (const pid of mine) await gone(pid);
    assert.ok(await lives(others), "what has no bound goes on");
    assert.ok(await lives(guard));
    run.child.kill("SIGKILL");
    await gone(others);
    await gone(guard);
  },
);

Deno.test("runs go on for as long as that is told anew, and where they have no bound any more", UNIX, async () => {
  await using run = guarded(`
    const one = start(["sleep", "300"], ${MARKED("n1.a")});
    const two = start(["sleep", "300"], ${MARKED("n1.b")});
    await Promise.all([guard.began(one, "n1.a"), guard.began(two, "n1.b")]);
    const begun = performance.now();
    while (performance.now() - begun < 4_500) {
      await guard.bound(["n1.a", "n1.b"].map((run) => ({ run, askMs: 2_000, killMs: 2_400 })));
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await guard.bound([{ run: "n1.b", askMs: 5_000, killMs: 5_200 }]);
    say([guard.pid, one, two]);
  `);
  const [guard = 0, one = 0, two = 0] = await run.said<number[]>();
  assert.ok(await lives(one));
  assert.ok(await lives(two));
  await gone(two);
  assert.ok(await lives(one));
  run.child.kill("SIGKILL");
  await gone(one);
  await gone(guard);
});

const SUCCESSOR = "a guard that was killed ends nothing when the time of a run has come: its successor knows better";
Deno.test(SUCCESSOR, LINUX, async () => {
  await using run = guarded(`
    const { childrenOf } = await import(${JSON.stringify(import.meta.resolve("../../tests/faults/children.ts"))});
    const child = start(["sleep", "300"], ${MARKED("n1.a")});
    await guard.began(child, "n1.a");
    await guard.bound([{ run: "n1.a", askMs: 5_000, killMs: 5_100 }]);
    const first = guard.pid;
    let watchers = [];
    while (watchers.length === 0) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      watchers = childrenOf(first);
    }
    Deno.kill(first, "SIGKILL");
    while (guard.pid === first) {
      await guard.bound([{ run: "n1.a", askMs: 60_000, killMs: 60_000 }]);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    say([watchers[0], child]);
  `);
  const [watcher = 0, child = 0] = await run.said<number[]>();
  await gone(watcher);
  assert.ok(await lives(child));
  run.child.kill("SIGKILL");
  await gone(child);
});

Deno.test("a guard is small", LINUX, async () => {
  await using guard = await startGuard(() => {});
  assert.ok(guard !== undefined);
  const rss = /^VmRSS:\s+(\d+) kB/m.exec(await Deno.readTextFile(`/proc/${guard.pid}/status`))?.[1];
  assert.ok(Number(rss) < 4_000, `${rss} kB`);
});
