import assert from "node:assert/strict";
import { connectFleet } from "../../lib/client/fleet.ts";
import { temporaryFolder } from "../fleet.ts";
import { startHubProcess, startNodeProcess } from "./ground.ts";

Deno.test({
  name: "a hub stands still while its server goes on: which nodes there are, they say themselves",
  ignore: Deno.build.os === "windows",
  async fn() {
    await using stack = new AsyncDisposableStack();
    const folder = await temporaryFolder(stack);
    const hub = await startHubProcess(stack, folder);
    await startNodeProcess(stack, hub, folder, { id: "n1" });
    const fleet = stack.use(await connectFleet({ servers: hub.url, creds: hub.adminCreds }));
    Deno.kill(hub.pid, "SIGSTOP");
    stack.defer(() => Deno.kill(hub.pid, "SIGCONT"));
    assert.deepEqual((await fleet.nodes()).map(({ id }) => id), ["n1"]);
    assert.deepEqual((await fleet.nodes("n1")).map(({ id }) => id), ["n1"]);
  },
});
