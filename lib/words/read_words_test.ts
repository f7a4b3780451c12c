import assert from "node:assert/strict";
import { readWords, suggestWords } from "./read_words.ts";

Deno.test("a line means the command that a terminal would run", async () => {
  const read = async (line: string) => {
    const { capability, verb, input, placement } = await readWords(line);
    return [capability.name, verb, input, placement.on ?? placement.any];
  };
  assert.deepEqual(await read("task run build --on os=linux"), ["task", "run", { args: ["build"] }, "os=linux"]);
  assert.deepEqual(await read("xtask run build 'a b'"), ["task", "run", { args: ["build", "a b"] }, undefined]);
  assert.deepEqual(await read("which go deno --any all"), ["which", "check", { names: ["go", "deno"] }, "all"]);
  assert.deepEqual((await read("silent -- sh -c 'exit 3'"))[2], { command: ["sh", "-c", "exit 3"] });
});

Deno.test("what means no command is refused with what is wrong", async () => {
  for (
    const line of ["", "up", "nodes ls", "rm -rf /", "task nosuch --nosuch", "which check", "kill-port x", "silent 'a"]
  ) {
    await assert.rejects(readWords(line), { code: "invalid" }, line);
  }
});

Deno.test("words are suggested as they may go on", async () => {
  const words = async (line: string) => (await suggestWords(line)).map(({ completion }) => completion);
  assert.ok((await words("")).includes("docker"));
  assert.deepEqual(await words("do"), ["docker"]);
  assert.ok((await words("git ")).includes("clone"));
  assert.ok((await words("git clone --")).includes("--on"));
  assert.deepEqual(await words("nosuch "), []);
  assert.deepEqual(await words("task 'open"), []);
});
