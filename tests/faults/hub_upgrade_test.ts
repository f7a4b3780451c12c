import assert from "node:assert/strict";
import { jetstreamManager } from "@nats-io/jetstream";
import { openKeyring } from "../../lib/auth/keyring.ts";
import { follow, type FollowEvent, storedLogs } from "../../lib/client/follow.ts";
import { openBus } from "../../lib/nats/bus.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { hubSubject } from "../../lib/protocol/subjects.ts";
import { ask, ongoing, resultOf } from "../asking.ts";
import { counted, countedIn, COUNTING, openGate, toldText } from "../counting.ts";
import { copyProject, temporaryFolder } from "../fleet.ts";
import { portFlags } from "../free_ports.ts";
import { NO_PREVIOUS, unpackPrevious } from "../previous_version.ts";
import { until } from "../until.ts";
import { spawnXtask, xtask, type XtaskOptions } from "../xtask_process.ts";
import { resultsOf } from "./ground.ts";

Deno.test({
  name:
    "a hub is stopped and started again by a newer version while nodes of both run tasks: they go on, and all arrives" +
    (NO_PREVIOUS === undefined ? "" : ` (${NO_PREVIOUS})`),
  ignore: NO_PREVIOUS !== undefined,
  async fn() {
    await using stack = new AsyncDisposableStack();
    const folder = await temporaryFolder(stack);
    const before = await unpackPrevious(`${folder}/previous`);
    const home = `${folder}/hub`;
    await Deno.mkdir(home);
    const ports = portFlags();
    const startHub = async (version: Pick<XtaskOptions, "program" | "env">) => {
      const hub = stack.use(await spawnXtask(["up", "--json", "--no-agent", ...ports], { home, ...version }));
      return { hub, said: await hub.ready() };
    };
    const old = await startHub(before);
    const { natsUrl: url = "" } = old.said;
    const startAgent = async (name: string, version: Pick<XtaskOptions, "program" | "env">, ...words: string[]) => {
      const { token } = JSON.parse((await xtask(["auth", "invite", "--json"], { home, ...before })).stdout);
      const dir = `${folder}/${name}/project`;
      await copyProject(dir, COUNTING);
      const args = ["agent", "--json", "--hub", url, "--join", token, "--name", name, "--dir", dir, "--allow", "task"];
      const agent = stack.use(
        await spawnXtask([...args, ...words], { home: `${folder}/${name}`, cwd: dir, ...version }),
      );
      await agent.ready();
      return { name, dir, agent };
    };
    const nodes = [await startAgent("old", before), await startAgent("new", {}, "--client")];
    const { projects: [keys] } = await openKeyring(`${home}/hub/keys.json`, []);
    const client = stack.use(await openBus({ servers: url, creds: keys.hubCreds() }));
    const boundOf = async (stream: string) =>
      (await (await jetstreamManager(client.connection)).streams.info(stream)).config.max_bytes;
    assert.equal(await boundOf("KV_xtask_commands"), -1, "the version before had no bound here");

    const id = newCommandId();
    for (const { name } of nodes) ongoing(await ask(client, name, "task.run", { args: ["count"] }, { id, waitMs: 0 }));
    const events: FollowEvent[] = [];
    const following = (async () => {
      for await (const event of follow(client, id, nodes.map(({ name }) => name))) events.push(event);
    })();
    await until(
      "output of both",
      () => nodes.every(({ name }) => events.some((event) => event.type === "log" && event.node === name)),
    );

    old.hub.kill("SIGTERM");
    assert.equal((await old.hub.status).code, 0);
    const counts = await Promise.all(nodes.map(({ dir }) => countedIn(dir)));
    const next = await startHub({});
    assert.equal(next.said.natsUrl, url);
    await until("the follower to be back", () => events.some(({ type }) => type === "found"), { timeoutMs: 30_000 });
    for (const [index, { dir }] of nodes.entries()) {
      assert.ok(await countedIn(dir) > counts[index]!, "it went on meanwhile");
    }
    assert.ok(
      await boundOf("KV_xtask_commands") > 0 && await boundOf("XTASK_PRESENCE") > 0,
      "brought to what is wanted now",
    );

    for (const { dir } of nodes) await openGate(dir);
    await following;
    for (const { name, dir } of nodes) {
      const lines = counted(await countedIn(dir));
      assert.equal(toldText(events.filter((event) => event.type !== "log" || event.node === name)), lines);
      assert.equal((await resultOf(client, name, id)).state, "succeeded");
      assert.equal(await Deno.readTextFile(`${dir}/runs`), "ran\n");
      await until("its output to be kept", async () => {
        const stored: FollowEvent[] = [];
        for await (const event of storedLogs(client, { id, node: name })) stored.push(event);
        return toldText(stored) === lines;
      });
    }
    await until("both results to be stored", async () => (await resultsOf(client)).size === nodes.length);
    await until("the new hub to know the end", async () => {
      const { runs } = JSON.parse((await client.request(hubSubject("command", "show"), JSON.stringify({ id }))).text());
      return nodes.every(({ name }) => runs[name]?.state === "succeeded");
    });
    for (const { agent } of nodes) assert.equal(await Promise.race([agent.status, Promise.resolve("runs")]), "runs");
  },
});
