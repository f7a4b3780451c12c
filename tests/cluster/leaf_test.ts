import assert from "node:assert/strict";
import { follow, type FollowEvent, storedLogs } from "../../lib/client/follow.ts";
import { openBus } from "../../lib/nats/bus.ts";
import { lastOf, STREAM } from "../../lib/nats/streams.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { ask, ended, GATED, ongoing, resultOf } from "../asking.ts";
import { startFleet } from "../fleet.ts";
import { toldText } from "../counting.ts";
import { until } from "../until.ts";

Deno.test("a leaf node", async (t) => {
  await using fleet = await startFleet({ nodes: [{ id: "n1", leaf: {} }, "n2"], taskfile: GATED });
  const { admin, up } = fleet;
  await until("the node to be known at the hub", () => up.hub.fleet.get("n1")?.state === "online");

  await t.step("answers what it is asked over the link", async () => {
    const result = ended(await ask(admin, "n1", "which.check", { names: ["sh"] }));
    assert.deepEqual([result.state, result.node], ["succeeded", "n1"]);
    const record = await fleet.record("n1");
    assert.equal(record.link.mode, "leaf");
  });

  await t.step("runs, and its output, result and events come to the hub once each", async () => {
    const id = newCommandId();
    ongoing(await ask(admin, "n1", "task.run", { args: ["gate"] }, { id, waitMs: 0 }));
    const events: FollowEvent[] = [];
    const following = (async () => {
      for await (const event of follow(admin, id, ["n1"])) events.push(event);
    })();
    await until("the output", () => toldText(events).includes("waiting"));
    await Deno.writeTextFile(`${fleet.node("n1").dir}/open`, "");
    await following;
    assert.equal(toldText(events), "waiting\nthrough\n");
    assert.equal((await resultOf(admin, "n1", id)).state, "succeeded");
    await until("the hub to know", () => up.hub.commands.get(id)?.runs.n1?.state === "succeeded");
  });
});
void [openBus, lastOf, STREAM, storedLogs];
