import assert from "node:assert/strict";
import { writeScript } from "../../tests/script.ts";
import task from "../capability/task.ts";
import { endProcesses, markOf, survivors } from "../os/processes.ts";
import { bootId } from "../os/started.ts";
import { newCommandId } from "../protocol/id.ts";
import { createKeeper, type Keeper, type Kept, type KeptEnd } from "./keeper.ts";

const UNIX = { ignore: Deno.build.os === "windows" };
const NODE = "keeper-test";

async function withKeeper(
  outputBytes: number,
  test: (keeper: Keeper, folder: string) => Promise<void>,
  { graceMs = 30_000 }: { graceMs?: number } = {},
): Promise<void> {
  const folder = await Deno.realPath(await Deno.makeTempDir());
  const keeper = createKeeper({
    folder: `${folder}/kept runs`,
    node: NODE,
    boot: await bootId(),
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", started: "mine", size: "mine" },
    toolsOf: () => ["/bin/sh", "/usr/bin/env"],
    endProcesses,
    graceMs,
    outputBytes,
  });
  try {
    await test(keeper, folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

interface Read {
  readonly text: string;
  readonly end: KeptEnd | undefined;
}

async function read(
  kept: Kept,
  { signal = new AbortController().signal, leaving = new AbortController().signal, onText = () => {} }: {
    signal?: AbortSignal;
    leaving?: AbortSignal;
    onText?: (text: string) => void;
  } = {},
): Promise<Read> {
  let text = "";
  const decoder = new TextDecoder();
  const end = await kept.watch({
    recall: (bytes) => void (text += `[${decoder.decode(bytes, { stream: true })}]`),
    // deno-lint-ignore require-await -- whoever takes output may have to wait
    take: async (bytes) => {
      text += decoder.decode(bytes, { stream: true });
      onText(text);
    },
    flush: () => Promise.resolve(),
    reported: () => text.length,
    signal,
    leaving,
  });
  return { text, end };
}

const sh = (script: string, ...args: string[]) => ({
  command: ["/bin/sh", "-c", script, "sh", ...args],
  cwd: "/",
  env: {},
});

Deno.test("a kept process gets its arguments as they are, and nothing of ours in its environment", UNIX, async () => {
  await withKeeper(1_000_000, async (keeper) => {
    const args = ["a b", "$(echo no)", "`echo no`", "'\"", "*", "", "line\nline", "-n", ";exit 9"];
    const script = 'for arg; do printf "<%s>" "$arg"; done';
    const { text, end } = await read(await keeper.start(task, newCommandId(), sh(script, ...args)));
    assert.equal(text, args.map((arg) => `<${arg}>`).join(""));
    assert.deepEqual([end?.exitCode, end?.lost], [0, 0]);
    const id = newCommandId();
    const kept = await keeper.start(task, id, { command: ["/usr/bin/env"], cwd: "/", env: { MINE: "1" } });
    const seen = (await read(kept)).text.trim().split("\n").sort();
    const shells = ["OLDPWD=", "PWD=", "SHLVL=", "_="];
    assert.deepEqual(seen.filter((line) => !shells.some((name) => line.startsWith(name))), [
      "MINE=1",
      "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
      "XTASK_ATTEMPT=1",
      `XTASK_COMMAND_ID=${id}`,
      `XTASK_NODE=${NODE}`,
      `XTASK_RUN=${markOf(NODE, id)}`,
      "size=mine",
      "started=mine",
    ]);
  });
});

Deno.test("past its bound output is counted and thrown away, and the process goes on", UNIX, async () => {
  await withKeeper(100_000, async (keeper, folder) => {
    const id = newCommandId();
    const script = "head -c 40000000 /dev/zero | tr '\\0' x; exit 5";
    const { text, end } = await read(await keeper.start(task, id, sh(script)));
    assert.ok(text.length >= 100_000 && text.length <= 100_000 + 16 * 1024 * 1024, `${text.length} are kept`);
    assert.deepEqual([end?.exitCode, end?.lost], [5, 40_000_000 - text.length]);
    assert.equal((await Deno.stat(`${folder}/kept runs/${id}/out`)).size, text.length);
  });
});

Deno.test("what comes line by line is there at once, however little it is", UNIX, async () => {
  await withKeeper(1_000_000, async (keeper) => {
    const abort = new AbortController();
    const kept = await keeper.start(task, newCommandId(), sh("echo one; sleep 300"));
    const { text, end } = await read(kept, {
      signal: abort.signal,
      onText: (text) => text.includes("one") && abort.abort(),
    });
    assert.ok(text.startsWith("one\n"));
    assert.equal(end?.exitCode, 143);
  });
});

Deno.test("one that is left is found again, and goes on behind what is reported", UNIX, async () => {
  await withKeeper(1_000_000, async (keeper, folder) => {
    const id = newCommandId();
    const leave = new AbortController();
    const script = `echo one; while [ ! -e ${folder}/open ]; do sleep 0.02; done; echo two`;
    const kept = await keeper.start(task, id, sh(script));
    const left = await read(kept, { leaving: leave.signal, onText: () => leave.abort() });
    assert.deepEqual(left, { text: "one\n", end: undefined });
    await Deno.writeTextFile(`${folder}/open`, "");
    const found = await keeper.find(id, { sameBoot: true });
    assert.ok(found !== undefined);
    assert.equal(found.startedAt, kept.startedAt);
    const { text, end } = await read(found);
    assert.deepEqual([text, end?.exitCode], ["[one\n]two\n", 0]);
    await keeper.sweep(() => false);
    assert.equal(await keeper.find(id, { sameBoot: true }), undefined);
  });
});

Deno.test("how one ended that is cancelled is known, however long it takes to write that down", UNIX, async () => {
  await withKeeper(1_000_000, async (keeper, folder) => {
    const path = "/usr/bin:/bin";
    await Deno.mkdir(`${folder}/bin`);
    await writeScript(`${folder}/bin/mv`, `sleep 0.2; PATH=${path}; exec mv "$@"`);
    const abort = new AbortController();
    const process = { ...sh("echo one; sleep 300"), env: { PATH: `${folder}/bin:${path}` } };
    const kept = await keeper.start(task, newCommandId(), process);
    const { end } = await read(kept, { signal: abort.signal, onText: () => abort.abort() });
    assert.equal(end?.exitCode, 143);
  });
});

Deno.test("one of which a busy system does not say in time whether it lives goes on", UNIX, async () => {
  await withKeeper(1_000_000, async (keeper, folder) => {
    // The first to ask is never answered.
    await Deno.mkdir(`${folder}/bin`);
    const answer = `mkdir ${folder}/asked || { : > ${folder}/again; exec /bin/sh "$@"; }`;
    await writeScript(`${folder}/bin/sh`, `${answer}\nexec sleep 300`);
    const id = newCommandId();
    const kept = await keeper.start(task, id, sh("sleep 300"));
    const program = `
      import { createKeeper } from ${JSON.stringify(import.meta.resolve("./keeper.ts"))};
      import { endProcesses } from ${JSON.stringify(import.meta.resolve("../os/processes.ts"))};
      const keeper = createKeeper({ folder: ${JSON.stringify(`${folder}/kept runs`)}, node: ${JSON.stringify(NODE)},
        boot: undefined, env: {}, toolsOf: () => [], endProcesses, graceMs: 100 });
      const kept = await keeper.find(${JSON.stringify(id)}, { sameBoot: true });
      const leave = new AbortController();
      const left = setInterval(() => Deno.stat(${
      JSON.stringify(`${folder}/again`)
    }).then(() => leave.abort(), () => {}), 20);
      const wait = () => Promise.resolve();
      const signal = new AbortController().signal;
      await kept.watch({ recall() {}, take: wait, flush: wait, reported: () => 0, signal, leaving: leave.signal });
      clearInterval(left);
    `;
    const watched = new Deno.Command(Deno.execPath(), {
      args: ["eval", "--config", new URL("../../deno.json", import.meta.url).pathname, "--ext=ts", program],
      env: { PATH: `${folder}/bin:${Deno.env.get("PATH")}` },
    });
    try {
      assert.ok((await watched.output()).success);
      assert.ok((await survivors({ groups: [], mark: markOf(NODE, id) })).length > 0, "whoever watched has ended it");
    } finally {
      await kept.end();
    }
  });
});

Deno.test("a program that its capability may not start is not started; one that is deaf is killed", UNIX, async () => {
  await withKeeper(1_000_000, async (keeper) => {
    await assert.rejects(keeper.start(task, newCommandId(), { command: ["/bin/ls"], cwd: "/", env: {} }), {
      code: "forbidden",
    });
    const id = newCommandId();
    const abort = new AbortController();
    const kept = await keeper.start(task, id, sh("trap '' TERM; echo deaf; while :; do sleep 0.1; done"));
    const { end } = await read(kept, { signal: abort.signal, onText: () => abort.abort() });
    assert.equal(end?.exitCode, undefined);
    assert.deepEqual(await survivors({ groups: [], mark: markOf(NODE, id) }), []);
  }, { graceMs: 1_000 });
});
