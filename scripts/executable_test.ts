import assert from "node:assert/strict";
import { platformHere } from "../lib/protocol/platform.ts";
import { HEAD_BYTES, platformOf } from "./executable.ts";

/** A file of zeros but for some bytes. */
function fileWith(...placed: readonly (readonly [at: number, bytes: readonly number[]])[]) {
  const file = new Uint8Array(HEAD_BYTES);
  for (const [at, bytes] of placed) file.set(bytes, at);
  return file;
}

Deno.test("an executable tells for which machine it is", () => {
  const elf = (machine: number) => fileWith([0, [0x7f, 0x45, 0x4c, 0x46]], [18, [machine, 0]]);
  const machO = (cpu: number) => fileWith([0, [0xcf, 0xfa, 0xed, 0xfe]], [4, [cpu, 0, 0, 1]]);
  const pe = (machine: readonly number[]) => fileWith([0x3c, [0x80]], [0x80, [0x50, 0x45, 0, 0, ...machine]]);
  assert.deepEqual(platformOf(elf(0x3e)), { os: "linux", arch: "amd64" });
  assert.deepEqual(platformOf(elf(0xb7)), { os: "linux", arch: "arm64" });
  assert.deepEqual(platformOf(machO(0x07)), { os: "darwin", arch: "amd64" });
  assert.deepEqual(platformOf(machO(0x0c)), { os: "darwin", arch: "arm64" });
  assert.deepEqual(platformOf(pe([0x64, 0x86])), { os: "windows", arch: "amd64" });
});

Deno.test("what is no executable, or for another processor, tells none", () => {
  assert.equal(platformOf(fileWith()), undefined);
  assert.equal(platformOf(new Uint8Array(3)), undefined);
  assert.equal(platformOf(fileWith([0, [0x7f, 0x45, 0x4c, 0x46]], [18, [0xf3, 0]])), undefined, "RISC-V");
  assert.equal(platformOf(fileWith([0x3c, [0xff, 0xff, 0xff, 0xff]])), undefined, "a place beyond the file");
});

Deno.test("the Deno that runs this is for this machine", async () => {
  using file = await Deno.open(Deno.execPath());
  const head = new Uint8Array(HEAD_BYTES);
  await file.read(head);
  assert.deepEqual(platformOf(head), platformHere());
});
