import assert from "node:assert/strict";
import { BUCKET } from "../../lib/nats/bucket.ts";
import { changeLeader, leaderOf } from "../../lib/nats/stream_leader.ts";
import { STREAM } from "../../lib/nats/streams.ts";
import { temporaryFolder } from "../fleet.ts";
import { CLUSTERS_HERE, type ClusterServer, startTestCluster } from "../nats_cluster.ts";
import { until } from "../until.ts";
import { xtask } from "../xtask_process.ts";
import { account, connectAdmin, readiness, startHubOn, startLoad, TELLING } from "./cluster_ground.ts";
import { startNodeProcess } from "./ground.ts";

/** What is promised: another one leads within this. */
const FAILOVER_MS = 10_000;
/** How often each stream is given another leader, one change after the other. */
const CHANGES = 5;

/** How much every connection of a hub process that has led has sent, dead ones included: by its name and id. */
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
      // A server that was short of time may have been dialled twice.
      const names = new Set([...before.keys()].map((connection) => connection.split(" leads ")[0]));
      assert.equal(names.size, 3, `each that has led: ${[...before.keys()]}`);
      const grew = [...before].filter(([connection, count]) => (after.get(connection) ?? count) > count);
      assert.equal(grew.length, 1, `only the one that leads has sent: ${JSON.stringify([[...before], [...after]])}`);
    });

    await t.step("told to end, it hands over at once", async () => {
      const begun = performance.now();
      third.kill("SIGTERM");
      await takesOver(second, begun);
      assert.equal((await third.status).code, 0);
    });

    const fourth = await startHubOn(stack, cluster, `${folder}/fourth`);
    hubs.push(fourth);
    await t.step("told to end while the servers change who leads what is kept, it hands over as well", async () => {
      const kept = new Set([...Object.values(STREAM), ...Object.values(BUCKET).map((name) => `KV_${name}`)]);
      const changing = Promise.all([...kept].map(async (stream) => {
        for (let change = 0; change < CHANGES; change++) {
          await until("somebody to lead it", () => leaderOf(admin, stream).catch(() => undefined));
          await changeLeader(admin, stream).catch(() => {});
        }
      }));
      const begun = performance.now();
      second.kill("SIGTERM");
      await takesOver(fourth, begun);
      assert.equal((await second.status).code, 0);
      await changing;
    });

    await load.more(2);
    await load.stop();
    await account(admin, load.answered);
  },
});
