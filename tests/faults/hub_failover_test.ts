import assert from "node:assert/strict";
import { temporaryFolder } from "../fleet.ts";
import { CLUSTERS_HERE, type ClusterServer, startTestCluster } from "../nats_cluster.ts";
import { until } from "../until.ts";
import { xtask } from "../xtask_process.ts";
import { account, connectAdmin, readiness, startHubOn, startLoad, TELLING } from "./cluster_ground.ts";
import { startNodeProcess } from "./ground.ts";

/** What is promised: another one leads within this. */
const FAILOVER_MS = 10_000;
/** How much every connection of the hub process that leads has sent, dead ones included: by its name and id. */
async function sentByLeaders(servers: readonly ClusterServer[]): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const server of servers) {
    type Connections = { connections: { cid: number; name?: string; in_msgs: number }[] };
    for (const { cid, name, in_msgs } of (await server.monitor<Connections>("/connz?state=all")).connections) {
      if (name !== undefined && / leads$/.test(name)) found.set(`${name} ${server.name}.${cid}`, in_msgs);
    }
  }
  return found;
}

Deno.test({
  name: "of two hub processes one leads: killed, stopped or told to end, the other one takes over within ten seconds",
  ignore: !CLUSTERS_HERE,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const folder = await temporaryFolder(stack);
    const cluster = stack.use(await startTestCluster(folder));
    const first = await startHubOn(stack, cluster, `${folder}/first`);
    const second = await startHubOn(stack, cluster, `${folder}/second`);
    const admin = await connectAdmin(stack, cluster);
    const at = { url: cluster.url, admin };
    const nodes = [
      await startNodeProcess(stack, at, folder, { id: "client", taskfile: TELLING }),
      await startNodeProcess(stack, at, folder, { id: "leaf", leafPort: cluster.leafPort, taskfile: TELLING }),
    ];
    const hubs = [first, second];
    const said = () => hubs.map((hub) => hub.stderrText().slice(-2_000)).join("\n\n");
    const leads = (hub: { httpUrl: string }) => async () => await readiness(hub).catch(() => "") === "ready";
    const takesOver = async (hub: { httpUrl: string }, begun: number) => {
      await until("it to lead", leads(hub), { timeoutMs: 2 * FAILOVER_MS });
      const ms = Math.round(performance.now() - begun);
      assert.ok(ms <= FAILOVER_MS, `it took ${ms} ms; the hubs said:\n${said()}`);
    };
    await until("the first to lead", leads(first));

    await t.step("the one that stands by says so", async () => {
      assert.match(
        await readiness(second),
        new RegExp(`not ready: stands by: .*/${first.pid} .*leads project default`),
      );
      assert.match(second.stderrText(), new RegExp(`stands by: .*/${first.pid} `));
      const doctor = await xtask(["doctor"], { home: `${folder}/second` });
      assert.match(doctor.stdout, new RegExp(`process ${first.pid} .*leads`));
    });

    const load = startLoad(admin, nodes.map(({ id }) => id));
    await load.more(2);
    await t.step("killed under load: the other leads, and what is asked meanwhile is answered", async () => {
      const begun = performance.now();
      first.kill("SIGKILL");
      const before = load.answered.length;
      // One on each node may have been asked before.
      await until("one that was asked since", () => load.answered.length > before + nodes.length, {
        timeoutMs: FAILOVER_MS,
      });
      assert.ok(!await leads(second)(), "it was answered while nobody led");
      await takesOver(second, begun);
      await load.more(2);
    });

    const third = await startHubOn(stack, cluster, `${folder}/third`);
    hubs.push(third);
    await t.step("stopped for longer than its term and continued, it sends nothing", async () => {
      assert.match(await readiness(third), /stands by/);
      const begun = performance.now();
      second.kill("SIGSTOP");
      await takesOver(third, begun);
      await load.more(2);
      const before = await sentByLeaders(cluster.servers);
      second.kill("SIGCONT");
      const knows = new RegExp(`stands by: .*/${third.pid} `);
      await until("it to know", async () => knows.test(await readiness(second).catch(() => "")));
      await load.more(2);
      const after = await sentByLeaders(cluster.servers);
      assert.equal(before.size, 3, "one connection of each that has led");
      const grew = [...before].filter(([connection, count]) => (after.get(connection) ?? count) > count);
      assert.equal(grew.length, 1, `only the one that leads has sent: ${JSON.stringify([[...before], [...after]])}`);
    });

    await t.step("told to end, it hands over at once", async () => {
      const begun = performance.now();
      third.kill("SIGTERM");
      await takesOver(second, begun);
      assert.equal((await third.status).code, 0);
    });

    await load.more(2);
    await load.stop();
    await account(admin, load.answered);
  },
});
