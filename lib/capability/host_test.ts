import assert from "node:assert/strict";
import { asset } from "../../scripts/assets.ts";
import { until } from "../../tests/until.ts";
import { markOf, survivors } from "../os/processes.ts";
import { XtaskError } from "../protocol/error.ts";
import { newCommandId } from "../protocol/id.ts";
import { platformHere } from "../protocol/platform.ts";
import type { Capability } from "./define.ts";
import { createHost, type Host, type Outcome } from "./host.ts";
import { OUTPUT_CREDITS } from "./messages.ts";
import silent from "./silent.ts";
import task from "./task.ts";
import which from "./which.ts";

const UNIX = { ignore: Deno.build.os === "windows" };
const NODE = "host-test";

/** A call under way. */
interface Running {
  readonly outcome: Promise<Outcome>;
  readonly abort: AbortController;
  /** Its processes that live. */
  readonly processes: () => Promise<number[]>;
}

/** A host with a folder of its own, whose Taskfile has tasks that flood and that wait. */
async function withHost(graceMs: number, test: (host: Host, dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  const tasks = {
    flood: { cmds: ["head -c 20000000 /dev/zero | tr '\\0' x; touch flooded"] },
    both: { cmds: ["sh -c 'head -c 5000000 /dev/zero & head -c 5000000 /dev/zero >&2; wait'"] },
    wait: { cmds: ["until [ -e go ]; do sleep 0.02; done"] },
  };
  await Deno.writeTextFile(`${dir}/Taskfile.yml`, JSON.stringify({ version: "3", tasks }));
  const tools = { task: await asset("task") };
  const path = "/usr/sbin:/usr/bin:/sbin:/bin";
  // On a search path as long as this, looking for a program keeps a Worker busy for minutes.
  const endless = "/no/such/folder:".repeat(200_000) + path;
  try {
    await using host = createHost({
      factsFor: ({ name }) => ({
        id: NODE,
        platform: platformHere(),
        dir,
        tools: name === "task" ? tools : {},
        env: { PATH: name === "which" ? endless : path, HOME: dir },
      }),
      protectedPids: () => [Deno.pid],
      graceMs,
    });
    await test(host, dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

type Take = (stream: "out" | "err", bytes: Uint8Array<ArrayBuffer>) => Promise<void>;

function start(
  host: Host,
  capability: Capability,
  verb: string,
  input: unknown,
  output: Take = () => Promise.resolve(),
): Running {
  const [command, abort] = [newCommandId(), new AbortController()];
  const outcome = host.invoke({ capability, verb, input, command, signal: abort.signal, output });
  // Its failure is looked at where it is awaited.
  outcome.catch(() => {});
  return { outcome, abort, processes: () => survivors({ groups: [], mark: markOf(NODE, command) }) };
}

const sh = (script: string) => ({ command: ["sh", "-c", script] });
const works = async (host: Host) =>
  assert.deepEqual((await start(host, silent, "exec", sh("exit 3")).outcome).exitCode, 3);

Deno.test(
  "cancelling a run ends all of its processes, and no other run of the same Worker",
  UNIX,
  () =>
    withHost(5_000, async (host, dir) => {
      const cancelled = start(host, silent, "exec", sh("setsid sleep 60 & sleep 60 & wait"));
      const other = start(host, silent, "exec", sh("until [ -e go ]; do sleep 0.02; done; exit 5"));
      await until("the processes", async () => (await cancelled.processes()).length >= 3);
      await until("the other's", async () => (await other.processes()).length >= 1);
      cancelled.abort.abort(new XtaskError("cancelled", "Cancelled on request"));
      assert.deepEqual((await cancelled.outcome).error, { code: "cancelled", message: "Cancelled on request" });
      assert.deepEqual(await cancelled.processes(), []);
      await Deno.writeTextFile(`${dir}/go`, "");
      assert.equal((await other.outcome).exitCode, 5);
    }),
);

Deno.test("a run that was cancelled before it began starts nothing", UNIX, () =>
  withHost(5_000, async (host, dir) => {
    const signal = AbortSignal.abort(new XtaskError("cancelled", "Too late"));
    const { command, output } = { command: newCommandId(), output: () => Promise.resolve() };
    const call = host.invoke({ capability: silent, verb: "exec", input: sh("touch begun"), command, signal, output });
    await assert.rejects(call, { message: "Too late" });
    await works(host);
    await assert.rejects(Deno.stat(`${dir}/begun`), Deno.errors.NotFound);
  }));

Deno.test(
  "a run that may go on no longer when its process has ended says so, however that ended",
  UNIX,
  () =>
    withHost(5_000, async (host) => {
      const abort = new AbortController();
      const outcome = await host.invoke({
        ...{ capability: silent, verb: "exec", input: sh("kill -9 $$"), command: newCommandId() },
        ...{ signal: abort.signal, output: () => Promise.resolve() },
        onEnded: () => abort.abort(new XtaskError("unavailable", "Too late")),
      });
      assert.equal(outcome.error?.message, "Too late");
    }),
);

Deno.test(
  "output that nobody takes slows its process down, and all of it arrives in the end",
  UNIX,
  () =>
    withHost(5_000, async (host, dir) => {
      const gate = Promise.withResolvers<void>();
      let [waiting, most, bytes] = [0, 0, 0];
      const run = start(host, task, "run", { args: ["--silent", "flood"] }, async (_, chunk) => {
        most = Math.max(most, ++waiting);
        await gate.promise;
        waiting--;
        bytes += chunk.length;
      });
      await until("the credits to be used up", () => waiting === OUTPUT_CREDITS);
      assert.deepEqual(
        Array.from(Deno.readDirSync(dir), ({ name }) => name),
        ["Taskfile.yml"],
        "it could write all at once",
      );
      gate.resolve();
      assert.deepEqual((await run.outcome).data, { exitCode: 0 });
      assert.equal(bytes, 20_000_000);
      assert.equal(most, OUTPUT_CREDITS);
    }),
);

Deno.test(
  "a program that floods both of its streams is kept back on both, and all of both arrives",
  UNIX,
  () =>
    withHost(5_000, async (host) => {
      const gate = Promise.withResolvers<void>();
      const bytes = { out: 0, err: 0 };
      let waiting = 0;
      const run = start(host, task, "run", { args: ["--silent", "both"] }, async (stream, chunk) => {
        waiting++;
        await gate.promise;
        bytes[stream] += chunk.length;
      });
      await until("the credits to be used up", () => waiting === OUTPUT_CREDITS);
      gate.resolve();
      let ended = false;
      run.outcome.then(() => ended = true);
      await until("the end of the run", () => ended);
      assert.deepEqual(bytes, { out: 5_000_000, err: 5_000_000 });
    }),
);

Deno.test(
  "a handler that does not stop when told to costs its Worker, and the next run gets a new one",
  UNIX,
  () =>
    withHost(100, async (host) => {
      const hung = start(host, which, "check", {
        names: Array.from({ length: 100 }, (_, at) => `no-such-program-${at}`),
      });
      const other = start(host, which, "check", { names: ["sh"] });
      hung.abort.abort(new XtaskError("cancelled", "Cancelled on request"));
      const error = { code: "internal", message: "A handler of which did not stop when told to" };
      assert.deepEqual(await hung.outcome, { error });
      assert.deepEqual(await other.outcome, { error }, "it shared the Worker");
      const { data } = await start(host, which, "check", { names: ["/bin/sh"] }).outcome;
      assert.deepEqual((data as { missing: string[] }).missing, []);
    }),
);

Deno.test(
  "a cancelled run whose output is not taken ends, and the other runs of its Worker go on",
  UNIX,
  () =>
    withHost(100, async (host, dir) => {
      let untaken = 0;
      const stuck = start(host, task, "run", { args: ["--silent", "flood"] }, () => {
        untaken++;
        return new Promise(() => {});
      });
      await until("the credits to be used up", () => untaken === OUTPUT_CREDITS);
      const other = start(host, task, "run", { args: ["--silent", "wait"] });
      await until("the other's processes", async () => (await other.processes()).length > 0);
      stuck.abort.abort(new XtaskError("cancelled", "Cancelled on request"));
      assert.deepEqual(await stuck.outcome, { error: { code: "cancelled", message: "Cancelled on request" } });
      await until("its processes to be gone", async () => (await stuck.processes()).length === 0);
      await Deno.writeTextFile(`${dir}/go`, "");
      assert.deepEqual((await other.outcome).data, { exitCode: 0 });
    }),
);

Deno.test("a Worker that dies fails its runs and nothing else", UNIX, () =>
  withHost(100, async (host) => {
    const other = start(host, silent, "exec", sh("sleep 0.2; exit 3"));
    const unknown: Capability = { ...silent, name: "nothing-of-this-name" };
    for (let turn = 0; turn < 2; turn++) {
      assert.equal((await start(host, unknown, "exec", sh("true")).outcome).error?.code, "internal");
    }
    assert.equal((await other.outcome).exitCode, 3);
  }));

Deno.test("a Worker may do what its capability's permissions say and nothing else", UNIX, async () => {
  /** One call with other permissions than the definition's; `dir` stands for the node's folder. */
  const outcomeWith = async (
    permissions: (dir: string) => Deno.PermissionOptionsObject,
    capability: Capability,
    verb: string,
    input: unknown,
  ): Promise<Outcome> => {
    let outcome: Outcome = {};
    await withHost(5_000, async (host, dir) => {
      outcome = await start(host, { ...capability, permissions: () => permissions(dir) }, verb, input).outcome;
    });
    return outcome;
  };
  const enough = await outcomeWith((dir) => ({ read: [dir], run: true }), silent, "exec", sh("true"));
  assert.equal(enough.error, undefined);
  const runsNothing = await outcomeWith((dir) => ({ read: [dir] }), silent, "exec", sh("true"));
  assert.equal(runsNothing.error?.code, "forbidden", JSON.stringify(runsNothing));
  const runsAnother = await outcomeWith((dir) => ({ read: [dir], run: ["/bin/echo"] }), task, "run", {
    args: ["flood"],
  });
  assert.equal(runsAnother.error?.code, "forbidden", JSON.stringify(runsAnother));
  const readsNothing = await outcomeWith(() => ({ run: true }), silent, "exec", sh("true"));
  assert.match(readsNothing.error?.message ?? "", /read access/);
});

Deno.test("disposing of the host ends what runs, and answers for it", UNIX, async () => {
  let run: Running | undefined;
  await withHost(100, async (host) => {
    run = start(host, silent, "exec", sh("trap '' TERM; while :; do sleep 0.05; done"));
    const { processes } = run;
    await until("its processes", async () => (await processes()).length > 0);
  });
  assert.deepEqual((await run?.outcome)?.error, { code: "internal", message: "The Worker of silent was stopped" });
  assert.deepEqual(await run?.processes(), []);
});

Deno.test(
  "a Worker with nothing to do goes, and the next call has another",
  { ignore: Deno.build.os !== "linux" },
  async () => {
    // In a process of its own: other files of tests are threads of this one, and come and go.
    const url = (path: string) => JSON.stringify(import.meta.resolve(path));
    const program = `
    import { until } from ${url("../../tests/until.ts")};
    import { newCommandId } from ${url("../protocol/id.ts")};
    import { platformHere } from ${url("../protocol/platform.ts")};
    import { createHost } from ${url("./host.ts")};
    import which from ${url("./which.ts")};
    const threads = () => [...Deno.readDirSync("/proc/self/task")].length;
    const facts = { id: "n", platform: platformHere(), dir: "/", tools: {}, env: { PATH: "/usr/bin:/bin" } };
    await using host = createHost({ factsFor: () => facts, protectedPids: () => [], idleMs: 0 });
    const signal = new AbortController().signal;
    const asked = { capability: which, verb: "check", input: { names: ["sh"] }, signal, output: () => Promise.resolve() };
    // Deno keeps threads of its own that come with first uses; the third Worker finds all of those.
    const counts = [];
    for (let round = 0; round < 3; round++) {
      const { error } = await host.invoke({ ...asked, command: newCommandId() });
      if (error !== undefined) throw new Error(error.message);
      const busy = threads();
      await until("the Worker's thread to be gone", () => threads() < busy);
      counts.push(threads());
    }
    const most = Math.max(...counts.slice(0, 2));
    await until("no more threads than before", () => threads() <= most);
  `;
    const { success, stderr } = await new Deno.Command(Deno.execPath(), {
      args: ["eval", "--config", new URL("../../deno.json", import.meta.url).pathname, "--ext=ts", program],
    }).output();
    assert.ok(success, new TextDecoder().decode(stderr));
  },
);
