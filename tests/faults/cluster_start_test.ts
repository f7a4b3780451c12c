import assert from "node:assert/strict";
import { temporaryFolder } from "../fleet.ts";
import { CLUSTERS_HERE, startTestCluster } from "../nats_cluster.ts";
import { until } from "../until.ts";
import { spawnXtask } from "../xtask_process.ts";
import { connectAdmin } from "./cluster_ground.ts";

Deno.test({
  name: "a hub process that is started with its servers waits until they have elected",
  ignore: !CLUSTERS_HERE,
  async fn() {
    await using stack = new AsyncDisposableStack();
    const folder = await temporaryFolder(stack);
    const cluster = stack.use(await startTestCluster(folder));
    const [first, ...others] = cluster.servers;
    for (const server of cluster.servers) await server.kill();
    // It is well once another one is there.
    const starting = [first.start()];
    await until("the first to take clients", async () => {
      const admin = await connectAdmin(stack, { ...cluster, url: first.url }).catch(() => undefined);
      return admin !== undefined;
    });
    const args = ["hub", "--json", "--nats", first.url, "--keys", cluster.keysPath, "--http-port", "0"];
    const hub = stack.use(await spawnXtask(args, { home: folder }));
    await until("it to wait", () => /waits for the servers/.test(hub.stderrText()));
    starting.push(...others.map((server) => server.start()));
    assert.ok((await hub.ready()).httpUrl);
    await Promise.all(starting);
  },
});
