import assert from "node:assert/strict";
import { openKeyring } from "../../lib/auth/keyring.ts";
import { startHub } from "../../lib/hub/hub.ts";
import { NodeRecord } from "../../lib/protocol/node.ts";
import { parseJson } from "../../lib/protocol/parse.ts";
import { eventSubject, inboxPrefix, nodeSubjects, statusSubject } from "../../lib/protocol/subjects.ts";
import { ask, ended, hear, refused } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { spawnXtask } from "../xtask_process.ts";
import { until } from "../until.ts";

Deno.test("who sees a node there reaches it, as soon as it is there and as soon as it has started", async () => {
  await using all = await startFleet({ nodes: [] });
  const { admin, up } = all;
  const ways = { client: {}, leaf: { leaf: { port: up.server.leafPort ?? 0 } } };
  for (const [way, more] of Object.entries(ways)) {
    for (let n = 0; n < 3; n++) {
      const id = `${way}-${n}`;
      const status = () => admin.request(statusSubject(id), "");
      const [whenSeen, whenStarted] = await Promise.all([
        until(`${id} to be there`, () => up.hub.fleet.get(id)?.state === "online").then(status),
        all.startHere({ id, ...more }).then(status),
      ]);
      for (const answer of [whenSeen, whenStarted]) assert.equal(parseJson(NodeRecord, answer.text(), "record").id, id);
    }
  }
});

Deno.test("a node that is killed is missed, and welcomed when it is back", async (t) => {
  await using fleet = await startFleet({ nodes: [] });
  const { admin } = fleet;
  using joined = await hear(admin, eventSubject("default", "node_joined"));
  using left = await hear(admin, eventSubject("default", "node_left"));
  const { token } = await fleet.up.hub.invite("node");
  const home = `${fleet.folder}/edge`;
  await Deno.mkdir(home);
  const args = ["agent", "--json", "--hub", fleet.url, "--name", "edge", "--allow", "which"];
  const agent = await spawnXtask([...args, "--join", token], { home });
  await using _agent = agent;
  await agent.ready();
  const about = (heard: typeof left) => heard.messages.map((message) => JSON.parse(message.text()).node);
  await joined.first();
  assert.deepEqual(about(joined), ["edge"]);

  await t.step("a second machine that claims its id is refused, with or without the credential", async () => {
    const creds = await Deno.readTextFile(`${home}/agent/edge.creds`);
    await Deno.mkdir(`${fleet.folder}/twin/agent`, { recursive: true });
    await Deno.writeTextFile(`${fleet.folder}/twin/agent/edge.creds`, creds);
    await using twin = await spawnXtask(args, { home: `${fleet.folder}/twin` });
    assert.equal((await twin.status).code, 5, twin.stderrText());
    assert.match(twin.stderrText(), /'edge' is already there/);
    const invited = await fleet.up.hub.invite("node");
    await Deno.mkdir(`${fleet.folder}/other`);
    await using other = await spawnXtask([...args, "--join", invited.token], { home: `${fleet.folder}/other` });
    assert.equal((await other.status).code, 5, other.stderrText());
    assert.equal(ended(await ask(admin, "edge", "which.check", { names: ["sh"] })).state, "succeeded");
    assert.deepEqual(about(left), []);
  });

  await t.step("when its process is killed, its heartbeat expires and that is told", async () => {
    agent.kill("SIGKILL");
    await agent.status;
    const { node, reason } = JSON.parse((await left.first(undefined, 25_000)).text());
    assert.equal(node, "edge");
    assert.match(reason, /not heard of since/);
    assert.equal(fleet.up.hub.fleet.get("edge")?.state, "offline");
    await refused(admin.request(nodeSubjects("edge").replace(">", "which.check"), "{}"), "unavailable");
  });

  await t.step("when it is back, that is told, and when it stops orderly, at once", async () => {
    await using again = await spawnXtask(args, { home });
    await again.ready();
    await until("the event", () => joined.messages.length === 2);
    assert.equal(ended(await ask(admin, "edge", "which.check", { names: ["sh"] })).state, "succeeded");
    again.kill("SIGTERM");
    assert.equal((await again.status).code, 0, again.stderrText());
    await until("the event", () => left.messages.length === 2, { timeoutMs: 10_000 });
    assert.match(JSON.parse(left.messages[1]?.text() ?? "{}").reason, /stopped/);
  });
});

Deno.test("an agent that starts under a held id while no hub is there ends as soon as there is one", async () => {
  await using fleet = await startFleet({ nodes: ["n1"], allow: ["which"] });
  const first = await fleet.record("n1");
  await fleet.up.hub[Symbol.asyncDispose]();
  const twin = await fleet.startHere({ id: "n1", home: `${fleet.folder}/twin/agent` });
  assert.notEqual(twin.record.instance, first.instance);
  const { projects: [keyring] } = await openKeyring(`${fleet.folder}/hub/hub/keys.json`, []);
  const bus = await fleet.connect(keyring.hubCreds(), { inboxPrefix: inboxPrefix("hub") });
  await using hub = await startHub({ bus, keys: keyring, address: fleet.url, log: () => {} });
  await refused(twin.failed, "conflict", /already there/);
  await twin[Symbol.asyncDispose]();
  await until("the first to be the one", () => hub.fleet.get("n1")?.instance === first.instance);
  assert.notEqual(hub.fleet.get("n1")?.state, "offline");
  assert.equal(ended(await ask(fleet.admin, "n1", "which.check", { names: ["sh"] })).state, "succeeded");
});
