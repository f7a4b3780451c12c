import assert from "node:assert/strict";
import { storeTrouble } from "./store_watch.ts";

Deno.test("a store that cannot be written is read off the server's log, with the system's reason", () => {
  const full =
    "[1] 2026/11/26 11:48:03.849531 [ERR] Filestore [XTASK_UP] Critical write error: write /x/msgs/1.blk: no space left on device";
  assert.equal(storeTrouble(full), "no space left on device");
  const later =
    "[1] 2026/11/26 11:48:13 [ERR] JetStream failed to store a msg on stream 'A > UP': write /x/1.blk: input/output error";
  assert.equal(storeTrouble(`[1] [INF] Starting\n${full}\n${later}\n[1] [INF] on`), "input/output error");
  assert.equal(storeTrouble("[1] [ERR] JetStream out of File resources, will be DISABLED"), "its log tells no reason");
  const harmless = [
    "[1] [INF] 127.0.0.1:1 - cid:7 - Slow Consumer Detected: WriteDeadline of 10s exceeded",
    "[1] [ERR] 127.0.0.1:1 - cid:7 - User authentication failed: no space left",
    "[1] [DBG] JetStream failed to store a msg on stream 'A > OUT': maximum bytes exceeded",
  ];
  assert.equal(storeTrouble(harmless.join("\n")), undefined);
});
