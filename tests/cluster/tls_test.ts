/** A hub with a certificate: NATS clients and leaf nodes reach it over TLS and not otherwise, and are told whom to trust. */
import assert from "node:assert/strict";
import { openBus } from "../../lib/nats/bus.ts";
import { serverMark } from "../../lib/nats/server.ts";
import { endProcesses, sendSignal, survivors } from "../../lib/os/processes.ts";
import { join } from "../../lib/system.ts";
import { refused } from "../asking.ts";
import { type Certificates, makeCertificates, OPENSSL } from "../certificates.ts";
import { copyProject, temporaryFolder } from "../fleet.ts";
import { portFlags } from "../free_ports.ts";
import { until } from "../until.ts";
import { spawnXtask, xtask } from "../xtask_process.ts";

const PORTS = ["--nats-port", "0", "--leaf-port", "0", "--http-port", "0"];

/** What a server says first, in the open, to whoever connects. */
async function greetingOf(port: number): Promise<Record<string, unknown>> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const buffer = new Uint8Array(16 * 1024);
  const size = await conn.read(buffer) ?? 0;
  return JSON.parse(new TextDecoder().decode(buffer.subarray(0, size)).replace(/^INFO /, ""));
}

/** What a server answers to somebody who goes on in the open. */
async function answerInTheOpen(port: number): Promise<string> {
  using conn = await Deno.connect({ hostname: "127.0.0.1", port });
  const buffer = new Uint8Array(16 * 1024);
  await conn.read(buffer);
  await conn.write(new TextEncoder().encode('CONNECT {"verbose":false}\r\nPING\r\n'));
  let text = "";
  try {
    for (let size = await conn.read(buffer); size !== null; size = await conn.read(buffer)) {
      text += new TextDecoder().decode(buffer.subarray(0, size));
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.ConnectionReset)) throw error;
  }
  return text;
}

const flagsOf = ({ server, caFile }: Certificates) => [
  ...["--tls-cert", server.cert, "--tls-key", server.key, "--tls-ca", caFile],
];

Deno.test({ name: "a hub with a certificate", ignore: !OPENSSL }, async (t) => {
  await using stack = new AsyncDisposableStack();
  const certificates = stack.use(await makeCertificates());
  const others = stack.use(await makeCertificates());
  const folder = await temporaryFolder(stack);
  const [home, leafHome, clientHome, person, dir] = ["hub", "leaf", "client", "person", "project"]
    .map((name) => `${folder}/${name}`) as [string, string, string, string, string];
  for (const path of [home, leafHome, clientHome, person]) await Deno.mkdir(path);
  await copyProject(dir);
  stack.defer(async () => void await endProcesses({ groups: [], mark: serverMark(`${leafHome}/agent/leaf`) }));

  const hub = stack.use(
    await spawnXtask(["up", "--json", "--name", "here", "--dir", dir, ...PORTS, ...flagsOf(certificates)], { home }),
  );
  const said = await hub.ready();
  const { natsUrl = "", leafPort = "" } = said;
  const port = Number(new URL(natsUrl).port);
  const invite = async (role: "node" | "operator") => {
    const { code, stdout, stderr } = await xtask(["auth", "invite", "--json", "--role", role], { home });
    assert.equal(code, 0, stderr);
    return JSON.parse(stdout) as { token: string; command: string };
  };

  await t.step("says so in its addresses, and warns of nothing", () => {
    assert.match(natsUrl, /^tls:\/\/127\.0\.0\.1:\d+$/);
    assert.match(said.httpUrl ?? "", /^https:/);
    assert.doesNotMatch(hub.stderrText(), /without TLS/);
  });

  await t.step("speaks to nobody in the open, on either port", async () => {
    for (const one of [port, Number(leafPort)]) {
      assert.equal((await greetingOf(one)).tls_required, true);
      assert.doesNotMatch(await answerInTheOpen(one), /PONG/);
    }
  });

  await t.step("is not believed by those who do not know its authority", async () => {
    const { token } = await invite("node");
    for (const tls of [{}, { ca: others.ca }]) {
      await refused(openBus({ servers: natsUrl, reconnect: false, tls }), "unavailable", /TLS.*UnknownIssuer/);
    }
    const foreign = join({ servers: natsUrl, token, name: "n1", tlsCa: others.ca });
    await refused(foreign, "unavailable", /UnknownIssuer/);
    assert.equal((await join({ servers: natsUrl, token, name: "n1" })).role, "node", "the token says whom to trust");
  });

  const agents = { leaf: leafHome, client: clientHome };
  const agentArgs = (name: string, command: string) => [
    ...command.split(" ").slice(1),
    ...["--json", "--name", name, "--dir", dir],
    ...(name === "client" ? ["--client"] : []),
  ];
  const joined = async (name: keyof typeof agents) => {
    const { command } = await invite("node");
    return await spawnXtask(agentArgs(name, command), { home: agents[name], cwd: dir });
  };

  await t.step("nodes join by the line that it prints, as leaf nodes and without, and run tasks", async () => {
    const leaf = stack.use(await joined("leaf"));
    assert.equal((await leaf.ready()).mode, "leaf");
    const client = stack.use(await joined("client"));
    assert.equal((await client.ready()).mode, "client");
    const { code, stdout, stderr } = await xtask(["task", "hello", "--on", "all"], { home });
    assert.equal(code, 0, stderr);
    for (const name of ["here", "leaf", "client"]) assert.match(stdout, new RegExp(`^${name} .*Hello from`, "m"));
    for (const [name, process] of Object.entries({ leaf, client })) {
      process.kill("SIGTERM");
      await process.status;
      // With neither token nor CA: what it was told is kept.
      const again = stack.use(
        await spawnXtask([
          "agent",
          "--json",
          "--hub",
          natsUrl,
          "--name",
          name,
          "--dir",
          dir,
          ...name === "client" ? ["--client"] : [],
        ], {
          home: agents[name as keyof typeof agents],
          cwd: dir,
        }),
      );
      await again.ready();
      await until(
        `${name} to run again`,
        async () => (await xtask(["task", "hello", "--on", name], { home })).code === 0,
      );
    }
  });

  await t.step("people join likewise, and other programs are told where the authority is", async () => {
    const { command } = await invite("operator");
    assert.equal((await xtask([...command.split(" ").slice(1), "--name", "olga"], { home: person })).code, 0);
    const nodes = await xtask(["nodes", "--json"], { home: person });
    assert.equal(nodes.stdout.trim().split("\n").length, 3, nodes.stderr);
    const { NATS_URL, NATS_CA = "" } = JSON.parse((await xtask(["env", "--json"], { home: person })).stdout);
    assert.equal(NATS_URL, natsUrl);
    assert.equal(await Deno.readTextFile(NATS_CA), certificates.ca);
    const byEnvironment = await xtask(["nodes", "--json"], {
      home: folder,
      env: JSON.parse((await xtask(["env", "--json"], { home: person })).stdout),
    });
    assert.equal(byEnvironment.code, 0, byEnvironment.stderr);
  });

  await t.step("its page, its doctor and its backup trust it as well", async () => {
    for (const args of [["ui", "--json"], ["hub", "backup", `${folder}/backup`]]) {
      const { code, stderr } = await xtask(args, { home });
      assert.equal(code, 0, stderr);
    }
    const found = (await xtask(["doctor", "--json"], { home })).stdout.trim().split("\n").map((line) =>
      JSON.parse(line)
    );
    for (const what of ["hub", "page"]) {
      assert.equal(found.find((finding) => finding.what === what)?.state, "ok", JSON.stringify(found));
    }
  });

  await t.step("its server that was killed comes back with TLS", async () => {
    const { server_id: killed } = await greetingOf(port);
    for (const pid of await survivors({ groups: [], mark: serverMark(`${home}/hub/nats`) })) sendSignal(pid, "SIGKILL");
    const again = await until("another server on the port", async () => {
      const greeting = await greetingOf(port).catch(() => undefined);
      return greeting !== undefined && greeting.server_id !== killed && greeting;
    }, { timeoutMs: 30_000 });
    assert.equal(again.tls_required, true);
    await until(
      "a leaf node over its link",
      async () => (await xtask(["task", "hello", "--on", "leaf"], { home })).code === 0,
      { timeoutMs: 30_000 },
    );
  });
});

Deno.test({
  name: "a leaf node keeps away from a hub that it was told to trust and cannot",
  ignore: !OPENSSL,
  async fn() {
    await using stack = new AsyncDisposableStack();
    const certificates = stack.use(await makeCertificates());
    const folder = await temporaryFolder(stack);
    const [home, leafHome] = [`${folder}/hub`, `${folder}/leaf`];
    for (const path of [home, leafHome]) await Deno.mkdir(path);
    stack.defer(async () => void await endProcesses({ groups: [], mark: serverMark(`${leafHome}/agent/leaf`) }));
    const ports = portFlags();
    const args = (flags: string[]) => ["up", "--json", "--no-agent", ...ports, ...flags];
    let natsUrl: string;
    {
      await using hub = await spawnXtask(args(flagsOf(certificates)), { home });
      ({ natsUrl = "" } = await hub.ready());
      const { command } = JSON.parse((await xtask(["auth", "invite", "--json"], { home })).stdout);
      await using leaf = await spawnXtask([...command.split(" ").slice(1), "--json", "--name", "leaf"], {
        home: leafHome,
      });
      await leaf.ready();
    }
    // The same hub without its certificate is what somebody in between could pretend to be.
    await using hub = await spawnXtask(args([]), { home });
    await hub.ready();
    await using leaf = await spawnXtask(["agent", "--json", "--hub", natsUrl, "--name", "leaf"], { home: leafHome });
    await leaf.ready();
    const log = `${leafHome}/agent/leaf/nats-server.log`;
    await until("it to have tried", async () => /TLS Handshake Failure/.test(await Deno.readTextFile(log)));
    assert.equal((await xtask(["nodes", "--json"], { home })).stdout.includes('"state":"online"'), false);
  },
});

Deno.test({
  name: "a certificate that cannot do is refused before anything is started, and a hub without one warns",
  ignore: !OPENSSL,
  async fn() {
    await using stack = new AsyncDisposableStack();
    const { server, elsewhere, caFile } = stack.use(await makeCertificates());
    const others = stack.use(await makeCertificates());
    const home = await temporaryFolder(stack);
    const mistakes: [string[], RegExp][] = [
      [["--tls-cert", server.cert], /A certificate needs its key/],
      [["--tls-key", server.key], /A certificate needs its key/],
      [["--tls-ca", caFile], /without the certificate/],
      [["--tls-cert", server.cert, "--tls-key", elsewhere.key], /another certificate's/],
      [["--tls-cert", `${home}/none.pem`, "--tls-key", server.key], /none\.pem cannot be read/],
      [["--tls-cert", server.key, "--tls-key", server.key], /certificate cannot be read/],
      [["--tls-cert", server.cert, "--tls-key", server.key], /UnknownIssuer\n.*--tls-ca/],
      [["--tls-cert", server.cert, "--tls-key", server.key, "--tls-ca", others.caFile], /UnknownIssuer/],
    ];
    for (const [flags, message] of mistakes) {
      const { code, stdout, stderr } = await xtask(["up", ...PORTS, ...flags], { home });
      assert.deepEqual([code, stdout], [2, ""], stderr);
      assert.match(stderr, message);
    }
    await using hub = await spawnXtask(["up", "--json", "--no-agent", "--host", "0.0.0.0", ...PORTS], { home });
    await hub.ready();
    assert.match(hub.stderrText(), /NATS is served on 0\.0\.0\.0 without TLS/);
  },
});
