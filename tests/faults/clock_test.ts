import assert from "node:assert/strict";
import { startAgent } from "../../lib/agent/agent.ts";
import { hubSubject, inboxPrefix } from "../../lib/protocol/subjects.ts";
import { ask, ended } from "../asking.ts";
import { copyProject, startFleet } from "../fleet.ts";
import { until } from "../until.ts";

for (const [way, skewMs, says] of [["ahead", 600_000, "ahead of"], ["behind", -600_000, "behind"]] as const) {
  Deno.test(`a node whose clock is ten minutes ${way} works, and is told with the amount`, async () => {
    await using fleet = await startFleet({ nodes: [] });
    await using stack = new AsyncDisposableStack();
    const bus = await fleet.connect(await fleet.join("node", "n1"), { inboxPrefix: inboxPrefix("n1") });
    const dir = `${fleet.folder}/n1/project`;
    await copyProject(dir);
    stack.use(
      await startAgent({
        ...{ bus, node: "n1", home: `${fleet.folder}/n1/agent`, dir, labels: {}, slots: 2, hostname: "test-machine" },
        ...{ allow: ["silent"], known: {}, env: {}, protectedPids: () => [Deno.pid], log: () => {} },
        now: () => Date.now() + skewMs,
      }),
    );
    const alert = await until("the alert", async () => {
      // Each run is a heartbeat.
      assert.equal(ended(await ask(fleet.admin, "n1", "silent.exec", { command: ["/bin/true"] })).state, "succeeded");
      const { alerts } = JSON.parse((await fleet.admin.request(hubSubject("alert", "list"), "{}")).text());
      return alerts.find(({ key }: { key: string }) => key === "clock_skew.n1");
    });
    assert.match(alert.message, new RegExp(`The clock of n1 is 10 min ${says} the hub's`));
    assert.equal(fleet.up.hub.fleet.get("n1")?.state, "online", "it is there all the same");
  });
}
