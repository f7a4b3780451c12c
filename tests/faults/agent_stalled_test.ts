import assert from "node:assert/strict";
import { lastOf, readStream, STREAM } from "../../lib/nats/streams.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { storedResult, storedResults } from "../../lib/protocol/subjects.ts";
import { ask, GATED, ongoing, runsIn } from "../asking.ts";
import { copyProject, startFleet } from "../fleet.ts";
import { until } from "../until.ts";
import { spawnXtask } from "../xtask_process.ts";

Deno.test({
  name: "an agent that is stopped by the system is told as lost; when it goes on it is back, with one result",
  // There is no such signal there.
  ignore: Deno.build.os === "windows",
  async fn() {
    await using fleet = await startFleet({ nodes: [] });
    const { admin } = fleet;
    const dir = `${fleet.folder}/n1/project`;
    await copyProject(dir, GATED);
    const { token } = await fleet.up.hub.invite("node");
    const args = ["agent", "--json", "--hub", fleet.url, "--join", token, "--name", "n1", "--allow", "task"];
    await using agent = await spawnXtask(args, { home: `${fleet.folder}/n1`, cwd: dir });
    await agent.ready();
    const id = newCommandId();
    ongoing(await ask(admin, "n1", "task.run", { args: ["gate"] }, { id, waitMs: 0 }));
    await until("the run to begin", async () => await runsIn(dir) === 1);

    Deno.kill(agent.pid, "SIGSTOP");
    const known = () => fleet.up.hub.fleet.get("n1");
    await until("the node to be lost", () => known()?.state === "offline", { timeoutMs: 60_000 });
    assert.equal(known()?.away, "lost");
    await Deno.writeTextFile(`${dir}/open`, "");
    Deno.kill(agent.pid, "SIGCONT");

    const result = await until(
      "the result",
      () => lastOf(admin, STREAM.results, storedResult(id, "n1")),
      { timeoutMs: 30_000 },
    );
    assert.equal(JSON.parse(result.text).state, "succeeded");
    await until("the node to be back", () => known()?.state !== "offline");
    let results = 0;
    for await (const _ of readStream(admin, STREAM.results, { subjects: [storedResults("*")], from: "first" })) {
      results++;
    }
    assert.deepEqual([results, await runsIn(dir)], [1, 1]);
  },
});
