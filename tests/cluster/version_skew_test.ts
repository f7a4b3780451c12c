/** A hub and a node of which one is a version behind: what worked before works. */
import assert from "node:assert/strict";
import { openBus } from "../../lib/nats/bus.ts";
import { hubSubject } from "../../lib/protocol/subjects.ts";
import { resultsOf } from "../faults/ground.ts";
import { copyProject, temporaryFolder } from "../fleet.ts";
import { NO_PREVIOUS, unpackPrevious } from "../previous_version.ts";
import { until } from "../until.ts";
import { spawnXtask, xtask, type XtaskOptions } from "../xtask_process.ts";

const TASKFILE = JSON.stringify({
  version: "3",
  silent: true,
  tasks: {
    say: { cmds: ["for i in 1 2 3; do echo said {{.WHAT}} $i; done"] },
    wait: { cmds: ["echo waiting", "while [ ! -e open ]; do sleep 0.05; done"] },
  },
});
type Version = Pick<XtaskOptions, "program" | "env">;
const PRESENT: Version = {};

/** Joins, runs, follows, cancels, looks: with hub and agent of these versions, and a command line of each. */
async function works(
  t: Deno.TestContext,
  hubs: Version,
  agents: Version,
  words: readonly string[] = [],
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const folder = await temporaryFolder(stack);
  const home = `${folder}/hub`;
  await Deno.mkdir(home);
  const ports = ["--nats-port", "0", "--leaf-port", "0", "--http-port", "0"];
  const hub = stack.use(await spawnXtask(["up", "--json", "--no-agent", ...ports], { home, ...hubs }));
  const { natsUrl: url = "" } = await hub.ready();
  const invited = await xtask(["auth", "invite", "--json"], { home, ...hubs });
  const { token } = JSON.parse(invited.stdout);
  const dir = `${folder}/edge/project`;
  await copyProject(dir, TASKFILE);
  const args = ["agent", "--json", "--hub", url, "--join", token, "--name", "n1", "--dir", dir, ...words];
  if (words.includes("--client")) {
    await t.step("where the hub knows no leaf nodes the node says so, and the token can still be used", async () => {
      const alone = args.filter((word) => word !== "--client");
      const refused = await xtask(alone, { home: `${folder}/edge`, cwd: dir, ...agents });
      assert.equal(refused.code, 2);
      assert.match(refused.stderr, /takes no leaf nodes[^]*--client/);
    });
  }
  const agent = stack.use(await spawnXtask(args, { home: `${folder}/edge`, cwd: dir, ...agents }));
  await agent.ready();
  const { NATS_CREDS } = JSON.parse((await xtask(["env", "--json"], { home, ...hubs })).stdout);
  const admin = stack.use(await openBus({ servers: url, creds: await Deno.readTextFile(NATS_CREDS) }));

  for (const [name, version] of [["hub", hubs], ["agent", agents]] as const) {
    const asked = (...args: string[]) => xtask(args, { home, ...version });
    await t.step(`the command line of the ${name}'s version runs a task and reads its output`, async () => {
      const ran = await asked("task", "say", `WHAT=${name}`, "--on", "n1", "--json");
      assert.equal(ran.code, 0, ran.stderr);
      const id = /"id":"(\w{26})"/.exec(ran.stdout)?.[1] ?? assert.fail(ran.stdout);
      const output = [1, 2, 3].map((i) => `said ${name} ${i}\n`).join("");
      await until("its output to be kept", async () => (await asked("commands", "logs", id)).stdout.includes(output));
      await until("its end to be known", async () => {
        const { stdout } = await asked("commands", "show", id, "--json");
        return stdout !== "" && JSON.parse(stdout).runs.n1?.state === "succeeded";
      });
      await until("its result to be stored", async () => (await resultsOf(admin)).get(`${id}.n1`) === 1);
    });
    await t.step(`it cancels one, and sees the node`, async () => {
      const left = await asked("task", "wait", "--on", "n1", "--detach", "--json");
      assert.equal(left.code, 0, left.stderr);
      const id = /"id":"(\w{26})"/.exec(left.stdout)?.[1] ?? assert.fail(left.stdout);
      const seen = JSON.parse((await asked("nodes", "show", "n1", "--json")).stdout);
      assert.deepEqual([seen.id, seen.platform.os], ["n1", Deno.build.os]);
      const cancelled = await asked("commands", "cancel", id, "--json");
      assert.match(cancelled.stdout, /"cancelled"/, cancelled.stderr);
      await until("its end to be known", async () => {
        const shown = JSON.parse((await admin.request(hubSubject("command", "show"), JSON.stringify({ id }))).text());
        return shown.runs.n1?.state === "cancelled";
      });
      const which = await asked("which", "sh", "--on", "n1", "--json");
      assert.equal(which.code, 0, which.stderr);
    });
  }
  await t.step("nothing that one says is nonsense to the other", () => {
    const said = [...hub.stderrText().split("\n"), ...agent.stderrText().split("\n")];
    assert.deepEqual(said.filter((line) => /"level":"(warn|error)"/.test(line)), []);
  });
}

Deno.test({
  name: `a node of the version before, at a hub of this one${NO_PREVIOUS === undefined ? "" : ` (${NO_PREVIOUS})`}`,
  ignore: NO_PREVIOUS !== undefined,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    await works(t, PRESENT, await unpackPrevious(`${await temporaryFolder(stack)}/previous`));
  },
});

Deno.test({
  name: `a node of this version, at a hub of the one before${NO_PREVIOUS === undefined ? "" : ` (${NO_PREVIOUS})`}`,
  ignore: NO_PREVIOUS !== undefined,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    await works(t, await unpackPrevious(`${await temporaryFolder(stack)}/previous`), PRESENT, ["--client"]);
  },
});
