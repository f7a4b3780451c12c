import assert from "node:assert/strict";
import { openKeyring } from "../../lib/auth/keyring.ts";
import { formatCreds } from "../../lib/auth/creds.ts";
import { generateNkey } from "../../lib/auth/nkey.ts";
import { survivors } from "../../lib/os/processes.ts";
import { startFleet, temporaryFolder } from "../fleet.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";

const up = (nats: number, leaf: number, http: number) =>
  ["up", "--json", "--no-agent"].concat(
    ["--nats-port", String(nats), "--leaf-port", String(leaf), "--http-port", String(http)],
  );

Deno.test("what cannot start says why, ends with the code of its error, and leaves nothing behind", async (t) => {
  await using fleet = await startFleet({ nodes: [], allow: ["which"] });
  await fleet.start({ id: "n1", home: `${fleet.folder}/n1/agent` });
  const { server, http } = fleet.up;
  const { leafPort = assert.fail("the hub has a leaf port") } = server;
  await using stack = new AsyncDisposableStack();
  const home = await temporaryFolder(stack);
  const servers = () => survivors({ groups: [], mark: `nats-server:${home}/hub/nats` });

  await t.step("a second hub in the same home", async () => {
    const { code, stderr } = await xtask(up(0, 0, 0), { home: `${fleet.folder}/hub` });
    assert.equal(code, 5, stderr);
    assert.match(stderr, new RegExp(`already runs in .*\\(process ${Deno.pid}\\)[^]*XTASK_HOME`));
    assert.equal(await fetch(`${http.url}/healthz`).then(async (one) => (await one.text(), one.ok)), true);
  });

  await t.step("a second agent in the same home", async () => {
    await Deno.writeTextFile(`${fleet.folder}/n1/agent/n2.creds`, await fleet.join("node", "n2"));
    const args = ["agent", "--json", "--hub", fleet.url, "--name", "n2", "--allow", "which"];
    const { code, stderr } = await xtask(args, { home: `${fleet.folder}/n1` });
    assert.equal(code, 5, stderr);
    assert.match(stderr, /An agent already runs in/);
  });

  for (
    const [what, port, ports] of [
      ["a port of the NATS server", server.port, up(server.port, 0, 0)],
      ["a leaf port", leafPort, up(0, leafPort, 0)],
      ["an HTTP port", Number(new URL(http.url).port), up(0, 0, Number(new URL(http.url).port))],
    ] as const
  ) {
    await t.step(`${what} that is taken`, async () => {
      const { code, stdout, stderr } = await xtask(ports, { home });
      assert.equal(code, 5, stderr);
      assert.match(stderr, new RegExp(`Port ${port} is taken`));
      assert.match(stderr, /--(nats|leaf|http)-port/);
      assert.equal(stdout, "");
      assert.deepEqual(await servers(), []);
    });
  }

  await t.step("a credential of another hub", async () => {
    const { projects: [foreign] } = await openKeyring(`${home}/foreign.json`, []);
    const { publicKey, seed } = generateNkey("user");
    const path = `${home}/foreign.creds`;
    await Deno.writeTextFile(path, formatCreds(foreign.issue({ role: "node", name: "n9", publicKey }), seed));
    const args = ["agent", "--json", "--hub", fleet.url, "--name", "n9", "--allow", "which"];
    const { code, stderr } = await xtask(args, { home, env: { XTASK_NATS_CREDS: path } });
    assert.equal(code, 77, stderr);
    assert.match(stderr, /refused the credentials/);
  });

  await t.step("no credential, and no hub", async () => {
    const alone = await xtask(["agent", "--json", "--hub", fleet.url, "--name", "n9", "--allow", "which"], { home });
    assert.equal(alone.code, 77, alone.stderr);
    assert.match(alone.stderr, /has not joined[^]*auth invite/);
    const nowhere = await xtask(["agent", "--json", "--name", "n9", "--allow", "which"], { home });
    assert.equal(nowhere.code, 2, nowhere.stderr);
    assert.match(nowhere.stderr, /--hub/);
    const nodes = await xtask(["nodes", "--json"], { home });
    assert.notEqual(nodes.code, 0);
    assert.match(nodes.stderr, /xtask up|auth join/);
  });

  await t.step("a person whose hub is away", async () => {
    await using hub = await spawnXtask(up(0, 0, 0), { home });
    await hub.ready();
    assert.equal((await xtask(["nodes", "--json"], { home })).code, 0);
    hub.kill("SIGTERM");
    await hub.status;
    const { code, stderr } = await xtask(["which", "sh", "--on", "n1", "--json"], { home });
    assert.equal(code, 75, stderr);
  });
});
