import assert from "node:assert/strict";
import { STREAM } from "../../lib/nats/streams.ts";
import { temporaryFolder } from "../fleet.ts";
import { CLUSTERS_HERE, type ClusterServer, startTestCluster } from "../nats_cluster.ts";
import { until } from "../until.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";
import {
  account,
  connectAdmin,
  leadershipOf,
  readiness,
  serverOfHub,
  startHubOn,
  startLoad,
  TELLING,
} from "./cluster_ground.ts";
import { startNodeProcess } from "./ground.ts";

const SETTLED_MS = 60_000;

Deno.test({
  name: "of three servers one is killed after the other under load: nothing that was acknowledged is lost",
  ignore: !CLUSTERS_HERE,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const folder = await temporaryFolder(stack);
    const cluster = stack.use(await startTestCluster(folder));
    const hub = await startHubOn(stack, cluster, `${folder}/hub`);
    const admin = await connectAdmin(stack, cluster);
    const at = { url: cluster.url, admin };
    const nodes = [
      await startNodeProcess(stack, at, folder, { id: "client-1", taskfile: TELLING }),
      await startNodeProcess(stack, at, folder, { id: "client-2", taskfile: TELLING }),
      await startNodeProcess(stack, at, folder, { id: "leaf", leafPort: cluster.leafPort, taskfile: TELLING }),
    ];
    const load = startLoad(admin, nodes.map(({ id }) => id));
    await load.more(3);
    const settled = (stream: string = STREAM.up) =>
      until(`${stream} to have all its copies`, async () => {
        const state = await leadershipOf(admin, stream).catch(() => undefined);
        return state?.current ? state : undefined;
      }, { timeoutMs: SETTLED_MS });
    const named = (name: string) => cluster.servers.find((server) => server.name === name) ?? assert.fail(name);
    const cases: [string, () => Promise<ClusterServer>][] = [
      ["a server that follows", async () => named((await settled()).followers[0]!)],
      ["the one that leads the stream of reports", async () => named((await settled()).leader)],
      ["the one that the hub is connected to", async () => {
        await settled();
        return await until(
          "a hub that leads to be connected",
          () => serverOfHub(cluster.servers).catch(() => undefined),
          {
            timeoutMs: SETTLED_MS,
          },
        );
      }],
    ];
    for (const [what, choose] of cases) {
      await t.step(`${what} is killed, and comes back`, async () => {
        const server = await choose();
        await server.kill();
        await load.more(4);
        await server.start();
        await load.more(2);
        await settled();
      });
    }
    await load.stop();
    await account(admin, load.answered);
    assert.equal((await settled(STREAM.results)).followers.length, 2);
    await until("the hub to serve", async () => await readiness(hub).catch(() => "") === "ready", {
      timeoutMs: SETTLED_MS,
    });

    await t.step("a backup of it makes a hub with a server of its own", async () => {
      const made = await xtask(["hub", "backup", `${folder}/backup`, "--keys", cluster.keysPath], {
        home: `${folder}/hub`,
      });
      assert.equal(made.code, 0, made.stderr);
      const home = `${folder}/again`;
      await Deno.mkdir(home);
      const restored = await xtask(["hub", "restore", `${folder}/backup`], { home });
      assert.equal(restored.code, 0, restored.stderr);
      const ports = ["--nats-port", "0", "--leaf-port", "0", "--http-port", "0"];
      const again = stack.use(await spawnXtask(["up", "--json", "--no-agent", ...ports], { home }));
      await again.ready();
      const [id = ""] = load.answered[0]?.split(".") ?? [];
      assert.match((await xtask(["commands", "logs", id], { home })).stdout, new RegExp(`^.*${id} 1$`, "m"));
    });
  },
});
