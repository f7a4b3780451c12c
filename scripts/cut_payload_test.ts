import assert from "node:assert/strict";
import { XtaskError } from "../lib/protocol/error.ts";
import { cutPayload } from "./cut_payload.ts";

/** A file that begins as an ELF executable with two section headers of 64 bytes at 128. */
function elf(payload: string): Uint8Array<ArrayBuffer> {
  const head = new Uint8Array(256);
  const view = new DataView(head.buffer);
  view.setUint32(0, 0x464c457f, true);
  view.setBigUint64(0x28, 128n, true);
  view.setUint16(0x3a, 64, true);
  view.setUint16(0x3c, 2, true);
  return new Uint8Array([...head, ...new TextEncoder().encode(payload)]);
}

Deno.test("an ELF executable ends where its section headers end", () => {
  assert.deepEqual(cutPayload(elf("a payload")), elf(""));
  assert.deepEqual(cutPayload(elf("")), elf(""));
});

Deno.test("what is no executable, or half of one, is refused", () => {
  const refused = (error: unknown) => error instanceof XtaskError && error.code === "invalid";
  assert.throws(() => cutPayload(new TextEncoder().encode("#!/bin/sh\n")), refused);
  assert.throws(() => cutPayload(elf("").slice(0, 20)), refused);
  assert.throws(() => cutPayload(new Uint8Array()), refused);
});
