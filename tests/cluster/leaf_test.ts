import assert from "node:assert/strict";
import { follow, type FollowEvent } from "../../lib/client/follow.ts";
import { openBus } from "../../lib/nats/bus.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import {
  commandSubject,
  DISCOVER,
  heartbeatSubject,
  hubSubject,
  nodeSubjects,
  resultSubject,
  upEvent,
  upMetrics,
  upOf,
  upResult,
} from "../../lib/protocol/subjects.ts";
import { ask, ended, GATED, hear, ongoing, refused, resultOf } from "../asking.ts";
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

Deno.test("the credential of a link has the rights of its node and no others", async () => {
  await using fleet = await startFleet({ nodes: [{ id: "n1", leaf: {} }, "n2"] });
  const { admin, up } = fleet;
  await until("the nodes at the hub", () => up.hub.fleet.nodes.filter(({ state }) => state === "online").length === 2);
  // As whoever has broken into the machine: on its server everything is allowed, so what stops this is the link.
  await using broken = await openBus({ servers: fleet.node("n1").localAddress ?? "" });
  using heard = await hear(admin, "xtask.>");
  const forged = [
    upResult("n2", "01J"),
    upEvent("n2", "command_started"),
    heartbeatSubject("n2"),
    resultSubject("01J"),
  ];
  for (const subject of [...forged, commandSubject("n2", "which", "check"), DISCOVER, upOf("n2").replace(">", "x")]) {
    broken.publish(subject, "forged");
  }
  // Messages of one connection arrive in order: when this one is there, the others would be.
  broken.publish(upMetrics("n1"), "its own");
  await heard.first(({ data }) => new TextDecoder().decode(data) === "its own");
  assert.deepEqual(heard.messages.filter(({ data }) => new TextDecoder().decode(data) === "forged"), []);
  for (
    const subject of [commandSubject("n2", "which", "check"), hubSubject("node", "list"), hubSubject("auth", "invite")]
  ) {
    await refused(broken.request(subject, "{}", { timeoutMs: 1_000 }), "unavailable", /Nobody answers/);
  }
  using overheard = await hear(broken, nodeSubjects("n2"));
  assert.equal(ended(await ask(admin, "n2", "which.check", { names: ["sh"] })).state, "succeeded");
  assert.deepEqual(overheard.messages, []);
});
