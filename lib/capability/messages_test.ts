import assert from "node:assert/strict";
import { gathered } from "./messages.ts";

Deno.test("what is said in one turn travels together, in order, with all its buffers; the next turn has its own list", async () => {
  const sent: { messages: readonly string[]; transfer: Transferable[] }[] = [];
  const say = gathered<string>((messages, transfer) => sent.push({ messages, transfer }));
  const [first, second] = [new ArrayBuffer(1), new ArrayBuffer(2)];
  say("a", [first]);
  say("b");
  say("c", [second]);
  assert.deepEqual(sent, []);
  await Promise.resolve();
  say("d");
  await Promise.resolve();
  assert.deepEqual(sent.map(({ messages }) => messages), [["a", "b", "c"], ["d"]]);
  assert.deepEqual(sent.map(({ transfer }) => transfer), [[first, second], []]);
});
