import assert from "node:assert/strict";
import * as v from "valibot";
import { MARK, survivors } from "../os/processes.ts";
import { defineCapability, type RunContext, verb } from "./define.ts";
import { runHere } from "./here.ts";

const UNIX = { ignore: Deno.build.os === "windows" };
const PATH = "/usr/bin:/bin";

/** Runs `act` as a verb in a fresh folder; what it returned, its exit code and the run's output. */
async function running<T>(act: (context: RunContext) => Promise<T>, { signal }: { signal?: AbortSignal } = {}) {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  const shown = { out: "", err: "" };
  let answer: T | undefined;
  try {
    const capability = defineCapability({
      name: "trial",
      summary: "A trial",
      permissions: () => ({}),
      verbs: {
        run: verb({
          summary: "Run it",
          effect: "change",
          input: v.object({}),
          output: v.object({}),
          async run(_, context) {
            answer = await act(context);
            return {};
          },
        }),
      },
    });
    const { exitCode } = await runHere(capability, "run", {}, {
      dir,
      env: { PATH, NODE_VARIABLE: "from the node" },
      output: (stream, bytes) => shown[stream] += new TextDecoder().decode(bytes),
      ...(signal === undefined ? {} : { signal }),
    });
    return { answer: answer as T, exitCode, shown, files: Array.from(Deno.readDirSync(dir), ({ name }) => name), dir };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("exec() hands the argument vector over as it is: no shell reads it", UNIX, async () => {
  const hostile = ["", "a b", "$(touch pwned)", "`touch pwned`", "; touch pwned", "*", "'", '"', "-n", "\n", "é🎉"];
  const { answer, files } = await running(({ exec }) => exec(["printf", "%s|", ...hostile], { output: "capture" }));
  assert.equal(answer.stdout, hostile.map((one) => `${one}|`).join(""));
  assert.deepEqual(files, []);
});

Deno.test(
  "exec() gives processes the node's variables, what is added, the run's own, and nothing else",
  UNIX,
  async () => {
    const { answer } = await running(async ({ exec, command }) => ({
      command,
      env: (await exec(["env"], { output: "capture", env: { ADDED: "x=y", NODE_VARIABLE: "changed" } })).stdout,
    }));
    assert.deepEqual(
      Object.fromEntries(
        answer.env.trim().split("\n").map((line) => [line.split("=")[0], line.slice(line.indexOf("=") + 1)]),
      ),
      {
        PATH,
        NODE_VARIABLE: "changed",
        ADDED: "x=y",
        XTASK_NODE: "local",
        XTASK_COMMAND_ID: answer.command,
        XTASK_ATTEMPT: "1",
        [MARK]: `local.${answer.command}`,
      },
    );
  },
);

Deno.test("exec() logs each stream as it is, and the last logged process's exit code is the run's", UNIX, async () => {
  const { shown, exitCode } = await running(async ({ exec, log }) => {
    log("first");
    await exec(["sh", "-c", "printf 'out\\r\\0'; printf 'err' >&2; exit 3"]);
    await exec(["sh", "-c", "exit 4"], { output: "capture" });
  });
  assert.deepEqual(shown, { out: "first\nout\r\0", err: "err" });
  assert.equal(exitCode, 3);
});

Deno.test("exec() with quiet shows nothing of what works and everything of what fails", UNIX, async () => {
  const works = await running(({ exec }) => exec(["sh", "-c", "echo out; echo err >&2"], { output: "quiet" }));
  assert.deepEqual(works.shown, { out: "", err: "" });
  const fails = await running(({ exec }) => exec(["sh", "-c", "echo out; echo err >&2; exit 9"], { output: "quiet" }));
  assert.deepEqual(fails.shown, { out: "out\n", err: "err\n" });
  assert.deepEqual([fails.answer.code, fails.exitCode], [9, 9]);
});

Deno.test(
  "exec() cuts what it keeps at maxBytes and says so: capture keeps the beginning, quiet the end",
  UNIX,
  async () => {
    const text = "0123456789".repeat(20_000);
    const print = ["sh", "-c", 'i=0; while [ $i -lt 20000 ]; do printf 0123456789; i=$((i+1)); done; exit "$0"'];
    for (const [maxBytes, truncated] of [[1, true], [199_999, true], [200_000, false], [200_001, false]] as const) {
      const { answer } = await running(async ({ exec }) => ({
        capture: await exec([...print, "0"], { output: "capture", maxBytes }),
        quiet: await exec([...print, "1"], { output: "quiet", maxBytes }),
      }));
      assert.equal(answer.capture.stdout, text.slice(0, maxBytes));
      assert.equal(answer.quiet.stdout, text.slice(-maxBytes));
      assert.deepEqual([answer.capture.truncated, answer.quiet.truncated], [truncated, truncated]);
    }
  },
);

Deno.test("exec() ends a process that outlives timeoutMs, with all that it started", UNIX, async () => {
  let mark = "";
  const late = running(({ exec, command }) => {
    mark = `local.${command}`;
    return exec(["sh", "-c", "sleep 600 & sleep 600"], { timeoutMs: 100 });
  });
  await assert.rejects(late, { code: "timeout", message: "sh did not end within 100 ms and was stopped" });
  assert.deepEqual(await survivors({ groups: [], mark }), []);
});

Deno.test(
  "exec() does not hang on a child left behind that keeps the pipe open; the child is ended",
  UNIX,
  async () => {
    let mark = "";
    const { shown, exitCode } = await running(({ exec, command }) => {
      mark = `local.${command}`;
      return exec(["sh", "-c", "sleep 600 & echo done"]);
    });
    assert.deepEqual([shown.out, exitCode], ["done\n", 0]);
    assert.deepEqual(await survivors({ groups: [], mark }), []);
  },
);

Deno.test("exec() gives processes an empty standard input, so that none waits for a person", UNIX, async () => {
  const { answer } = await running(({ exec }) => exec(["cat"], { output: "capture", timeoutMs: 20_000 }));
  assert.deepEqual([answer.code, answer.stdout], [0, ""]);
});

Deno.test("exec() tells a death by signal as 128 and its number", UNIX, async () => {
  const { answer, exitCode } = await running(({ exec }) => exec(["sh", "-c", "kill -9 $$"]));
  assert.deepEqual([answer.code, exitCode], [137, 137]);
});

Deno.test(
  "exec() starts nothing once the run is cancelled, and throws its reason where it is cancelled meanwhile",
  UNIX,
  async () => {
    const abort = new AbortController();
    const reason = new Error("no longer wanted");
    await assert.rejects(
      running(async ({ exec, command, node }) => {
        const over = exec(["sleep", "600"]);
        abort.abort(reason);
        await assert.rejects(over, (error) => error === reason);
        await assert.rejects(exec(["touch", "late"]), (error) => error === reason);
        assert.deepEqual(await survivors({ groups: [], mark: `local.${command}` }), []);
        assert.throws(() => Deno.statSync(`${node.dir}/late`), Deno.errors.NotFound);
        throw reason;
      }, { signal: abort.signal }),
      (error) => error === reason,
    );
  },
);

Deno.test("exec() refuses what it cannot start, with the reason", UNIX, async () => {
  await assert.rejects(running(({ exec }) => exec([])), { code: "invalid" });
  await assert.rejects(running(({ exec }) => exec(["no-such-program-here"])), { code: "not_found" });
  await assert.rejects(running(({ exec }) => exec(["true"], { cwd: "/no/such/folder" })), { code: "not_found" });
  await assert.rejects(
    running(async ({ exec, node }) => {
      await Deno.writeTextFile(`${node.dir}/plain`, "text", { mode: 0o644 });
      return await exec([`${node.dir}/plain`]);
    }),
    { code: "forbidden" },
  );
});

Deno.test("exec() waits for a program that was just written, until nobody writes it any more", UNIX, async () => {
  const busy = async ({ exec, node }: RunContext) => {
    const path = `${node.dir}/new`;
    await Deno.writeTextFile(path, "#!/bin/sh\nexit 3\n", { mode: 0o755 });
    return { file: await Deno.open(path, { append: true }), ended: exec([path]) };
  };
  // Linux alone is sure to refuse it: elsewhere it may start at once.
  const { exitCode } = await running(async (context) => {
    const { file, ended } = await busy(context);
    file.close();
    return await ended;
  });
  assert.equal(exitCode, 3);
  if (Deno.build.os !== "linux") return;
  const never = running(async (context) => {
    const { file, ended } = await busy(context);
    using _ = file;
    return await ended;
  });
  await assert.rejects(never, { code: "unavailable", message: /somebody is writing to it$/ });
});
