import assert from "node:assert/strict";
import { runHere } from "./here.ts";
import silent from "./silent.ts";

const UNIX = { ignore: Deno.build.os === "windows" };

/** Runs `silent.exec` in a fresh folder; the answer, and everything that was shown. */
async function exec(input: Record<string, unknown>, signal?: AbortSignal) {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  await Deno.mkdir(`${dir}/sub`);
  let shown = "";
  try {
    const { data, exitCode } = await runHere(silent, "exec", input, {
      dir,
      env: { PATH: "/usr/bin:/bin" },
      output: (_, bytes) => shown += new TextDecoder().decode(bytes),
      ...(signal === undefined ? {} : { signal }),
    });
    const { durationMs, ...rest } = data as { exitCode: number; durationMs: number };
    const files = Array.from(Deno.readDirSync(dir), ({ name }) => name).sort();
    return { dir, data: rest, durationMs, exitCode, shown, files };
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("silent.exec shows nothing of a program that works", UNIX, async () => {
  const { data, exitCode, shown, durationMs } = await exec({ command: ["sh", "-c", "echo out; echo err >&2"] });
  assert.deepEqual({ data, exitCode, shown }, { data: { exitCode: 0 }, exitCode: 0, shown: "" });
  assert.ok(Number.isInteger(durationMs) && durationMs >= 0);
});

Deno.test("silent.exec shows all that a failing program printed, and fails with its exit code", UNIX, async () => {
  const { data, exitCode, shown } = await exec({ command: ["sh", "-c", "echo out; echo err >&2; exit 7"] });
  assert.deepEqual({ data, exitCode }, { data: { exitCode: 7 }, exitCode: 7 });
  assert.deepEqual(shown.trim().split("\n").sort(), ["err", "out"]);
});

Deno.test("silent.exec keeps a bounded amount of what a failing program printed, its end", UNIX, async () => {
  const { shown } = await exec({
    command: ["sh", "-c", "head -c 3000000 /dev/zero | tr '\\0' x; echo the reason; exit 1"],
  });
  assert.ok(shown.length <= 1024 * 1024, `${shown.length} bytes were shown`);
  assert.ok(shown.endsWith("xthe reason\n"), "the end is what is kept");
});

Deno.test("silent.exec hands arguments over untouched, in the folder and environment asked for", UNIX, async () => {
  const hostile = ["$(touch pwned)", "; touch pwned", "a b", "--", "", "*"];
  const { shown, dir, files } = await exec({
    command: ["sh", "-c", 'printf "%s|" "$@" "$GREETING" "$PWD"; exit 1', "sh", ...hostile],
    dir: "sub",
    env: { GREETING: "hello" },
  });
  assert.equal(shown, `${[...hostile, "hello", `${dir}/sub`].join("|")}|`);
  assert.deepEqual(files, ["sub"], "no shell has run anything");
});

Deno.test("silent.exec stops a program that outlives its time", UNIX, async () => {
  await assert.rejects(exec({ command: ["sleep", "60"], timeoutMs: 50 }), { code: "timeout" });
});

Deno.test("silent.exec stops when the run is cancelled", UNIX, async () => {
  const abort = new AbortController();
  const over = assert.rejects(exec({ command: ["sleep", "60"] }, abort.signal), /enough/);
  abort.abort(new Error("enough"));
  await over;
});

Deno.test("silent.exec refuses a program that is not there, a folder outside and bad input", UNIX, async () => {
  await assert.rejects(exec({ command: ["no-such-program-here"] }), { name: "XtaskError" });
  for (
    const input of [
      { command: ["true"], dir: ".." },
      { command: ["true"], dir: "/" },
      { command: [] },
      { command: "true" },
      { command: ["true"], env: { "A=B": "c" } },
      { command: ["true"], timeoutMs: 0 },
    ]
  ) await assert.rejects(exec(input), { code: "invalid" });
});
