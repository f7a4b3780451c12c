/** `xtask hub`: a hub process without a server of its own. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { UNLIMITED_ACCOUNT, UNLIMITED_USER } from "../../lib/auth/claims.ts";
import { formatCreds } from "../../lib/auth/creds.ts";
import { encodeJwt } from "../../lib/auth/jwt.ts";
import { generateNkey } from "../../lib/auth/nkey.ts";
import { copyProject, temporaryFolder } from "../fleet.ts";
import { startTestServer } from "../nats_server.ts";
import { until } from "../until.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";

Deno.test("xtask hub config makes keys for their owner's eyes, and the servers' configuration; xtask hub works with both", async (t) => {
  await using stack = new AsyncDisposableStack();
  const home = await temporaryFolder(stack);
  const conf = async (...more: string[]) => {
    const { code, stdout, stderr } = await xtask(["hub", "config", "--leaf-port", "0", ...more], { home });
    assert.equal(code, 0, stderr);
    return stdout;
  };
  const own = 'server_name: solo\nstore_dir: "$DIR/store"\n';

  await t.step("without keys, or servers, it says what to do first", async () => {
    const early = await xtask(["hub", "--nats", "nats://127.0.0.1:1"], { home });
    assert.equal(early.code, 4);
    assert.match(early.stderr, /xtask hub config > xtask\.conf/);
    assert.match((await xtask(["hub"], { home })).stderr, /xtask hub --nats .*\n.*xtask up/);
  });

  const text = await conf();
  const keys = join(home, "hub", "keys.json");
  if (Deno.build.os !== "windows") assert.equal((await Deno.stat(keys)).mode! & 0o777, 0o600);
  const made = await Deno.readTextFile(keys);
  assert.ok(!Object.values<string>(JSON.parse(made)).some((seed) => typeof seed === "string" && text.includes(seed)));
  await using server = await startTestServer(own + text.replace('"port": 0', '"port": -1, "host": "127.0.0.1"'));
  const run = ["hub", "--nats", server.url, "--json", "--no-leaf", "--http-port", "0"];

  await t.step("it leads, invites, and is asked like any hub", async () => {
    await using hub = await spawnXtask(run, { home });
    const said = await hub.ready();
    assert.deepEqual([said.natsUrl, said.replicas], [server.url, 1]);
    const health = await (await fetch(`${said.httpUrl}/readyz`)).json();
    assert.equal(health.status, "ready", JSON.stringify(health));
    const { token, command } = JSON.parse((await xtask(["auth", "invite", "--json"], { home })).stdout);
    assert.ok(command.includes(`--hub ${server.url} `));
    const dir = join(home, "edge", "project");
    await copyProject(dir);
    const args = ["agent", "--json", "--client", "--hub", server.url, "--join", token, "--name", "n1", "--dir", dir];
    await using agent = await spawnXtask(args, { home: join(home, "edge"), cwd: dir });
    await agent.ready();
    const shown = await xtask(["which", "sh", "--on", "n1", "--json"], { home });
    assert.equal(shown.code, 0, shown.stderr);
    const doctor = await xtask(["doctor", "--json"], { home });
    assert.match(doctor.stdout, new RegExp(`process ${hub.pid} .*leads`));
  });

  await t.step("the keys stay, and a project that the servers do not know is told with what to do", async () => {
    assert.match(await conf("--project", "shop"), /resolver_preload/);
    assert.ok((await Deno.readTextFile(keys)).includes(JSON.parse(made).operator));
    const unknown = await xtask([...run, "--project", "shop"], { home });
    assert.equal(unknown.code, 77);
    assert.match(unknown.stderr, /do not know the account of project shop[^]*reload/);
    const unmade = await xtask([...run, "--project", "shoes"], { home });
    assert.equal(unmade.code, 4);
    assert.match(unmade.stderr, /xtask hub config --project shoes/);
  });

  await t.step("what the servers lack is told: copies without a cluster, JetStream", async () => {
    const alone = await xtask([...run, "--project", "default", "--replicas", "3"], { home });
    assert.equal(alone.code, 75);
    assert.match(alone.stderr, /as many servers with JetStream in one cluster as there are to be copies/);
    assert.equal((await xtask([...run, "--replicas", "2"], { home })).code, 2);
    const { jetstream: _none, ...less } = Object.fromEntries(settings(text));
    await using plain = await startTestServer(Object.values(less).join("\n").replace(/leafnodes[^]*/, ""));
    const without = await xtask(["hub", "--nats", plain.url, "--project", "default"], { home });
    assert.equal(without.code, 75);
    assert.match(without.stderr, /offers no JetStream/);
  });
});

/** Each setting of a configuration with its name. */
function settings(text: string): [string, string][] {
  return text.split(/\n(?=\w+: )/).map((setting) => [setting.split(":", 1)[0]!, setting]);
}

Deno.test("xtask hub with an account that others made: it works, and invites nobody", async () => {
  await using stack = new AsyncDisposableStack();
  const home = await temporaryFolder(stack);
  const [operator, account, system] = [generateNkey("operator"), generateNkey("account"), generateNkey("account")];
  const accountJwt = (sub: string, limits: Partial<typeof UNLIMITED_ACCOUNT>) =>
    encodeJwt(operator, { sub, name: "A", nats: { type: "account", limits } });
  await using server = await startTestServer({
    jetstream: { store_dir: "$DIR/store" },
    operator: encodeJwt(operator, {
      sub: operator.publicKey,
      name: "theirs",
      nats: { type: "operator", system_account: system.publicKey },
    }),
    system_account: system.publicKey,
    resolver: "MEMORY",
    resolver_preload: {
      [system.publicKey]: accountJwt(system.publicKey, { subs: -1, conn: -1 }),
      [account.publicKey]: accountJwt(account.publicKey, UNLIMITED_ACCOUNT),
    },
  });
  const credsOf = async (name: string) => {
    const user = generateNkey("user");
    const jwt = encodeJwt(account, { sub: user.publicKey, name, nats: { type: "user", ...UNLIMITED_USER } });
    const path = join(home, `${name}.creds`);
    await Deno.writeTextFile(path, formatCreds(jwt, user.seed), { mode: 0o600 });
    return path;
  };
  const creds = await credsOf("hub");
  const args = ["hub", "--nats", server.url, "--creds", creds, "--project", "shop", "--json", "--http-port", "0"];
  await using hub = await spawnXtask(args, { home });
  await hub.ready();
  const invited = await xtask(["auth", "invite"], { home });
  assert.equal(invited.code, 2);
  assert.match(invited.stderr, /no signing keys[^]*nsc add user[^]*XTASK_NATS_CREDS/);
  const dir = join(home, "edge", "project");
  await copyProject(dir);
  await using agent = await spawnXtask(
    ["agent", "--json", "--client", "--hub", server.url, "--name", "n1", "--dir", dir],
    { home: join(home, "edge"), cwd: dir, env: { XTASK_NATS_CREDS: await credsOf("n1") } },
  );
  await agent.ready();
  const ran = await xtask(["task", "hello", "--on", "n1"], { home });
  assert.equal(ran.code, 0, ran.stderr);
  await until("the hub to know of it", async () => (await xtask(["commands"], { home })).stdout.includes("succeeded"));
  assert.equal(
    (await xtask(["auth", "invite"], {
      home: join(home, "edge"),
      env: {
        NATS_URL: server.url,
        NATS_CREDS: creds,
      },
    })).code,
    2,
  );
});
