import assert from "node:assert/strict";
import * as v from "valibot";
import { connectFleet } from "../../lib/client/fleet.ts";
import { controlNode } from "../../lib/client/control.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { CommandRecord } from "../../lib/protocol/run.ts";
import { commandAt } from "../../lib/protocol/schedule.ts";
import { timeOfUlid } from "../../lib/protocol/ulid.ts";
import { startFleet } from "../fleet.ts";
import { relayTo } from "../faults/relay.ts";
import { until } from "../until.ts";

const TASKFILE = JSON.stringify({
  version: "3",
  silent: true,
  tasks: { mark: { cmds: ["echo $XTASK_RUN >> ran.txt"] }, look: { cmds: ["echo looked"] } },
});
const LISTED = v.object({ commands: v.array(CommandRecord) });

Deno.test("a schedule goes on while the hub is out of reach and through a restart, and is told of when it is back", async (t) => {
  await using all = await startFleet({ nodes: [], taskfile: TASKFILE });
  await using relay = relayTo(all.up.server.leafPort ?? 0);
  let ahead = 0;
  const now = () => Date.now() + ahead;
  /** The node's clock is set to some seconds before a full minute: what is asked then is there in time. */
  const nearMinute = () => void (ahead += 55_000 - now() % 60_000);
  const spec = { id: "edge", leaf: { port: relay.port }, now };
  const { dir, agent, localAddress } = await all.start(spec);
  await until("it to be there", () => all.up.hub.fleet.get("edge")?.state === "online");
  await using fleet = await connectFleet({ servers: all.url, creds: all.up.adminCreds });
  const ran = async () =>
    (await Deno.readTextFile(`${dir}/ran.txt`).catch(() => "")).split("\n").filter((line) => line);
  const id = newCommandId();
  const minutely = { id, name: "mark", cron: "* * * * *", zone: "UTC", missed: "run" } as const;

  const mark = { ...minutely, capability: "task", verb: "run", input: { args: ["mark"] } };

  await t.step("it is set on the node, which says when it runs next and who wanted it", async () => {
    const { schedules } = await controlNode(fleet, "edge", {
      verb: "schedule",
      input: { ...mark, name: "yearly", cron: "0 0 1 1 *" },
    });
    assert.deepEqual(schedules?.map(({ name, by }) => [name, by]), [["yearly", { user: "admin", proven: true }]]);
    assert.match(schedules?.[0]?.nextAt ?? "", /^\d{4}-01-01T00:00:00.000Z$/);
    await until("the hub to know", async () => (await fleet.nodes("edge"))[0]?.schedules?.length === 1);
  });

  await t.step("what cannot be done is refused while somebody is there to be told", async () => {
    const set = (change: Record<string, unknown>) => {
      const input = {
        ...minutely,
        name: "other",
        capability: "task",
        verb: "run",
        input: { args: ["mark"] },
        ...change,
      };
      return controlNode(fleet, "edge", { verb: "schedule", input });
    };
    await assert.rejects(set({ cron: "61 * * * *" }), { code: "invalid" });
    await assert.rejects(set({ capability: "docker", verb: "ps" }), { code: "not_found" });
    await assert.rejects(set({ verb: "walk" }), { code: "not_found" });
    await assert.rejects(set({ verb: "list", input: {} }), { code: "invalid" });
    await assert.rejects(set({ input: { args: 3 } }), { code: "invalid" });
    await assert.rejects(set({ name: "Two Words" }), { code: "invalid" });
    await assert.rejects(controlNode(fleet, "edge", { verb: "unschedule", input: { name: "other" } }), {
      code: "not_found",
    });
  });

  await t.step("while the node is cut off it can be set there, and runs", async () => {
    relay.cut();
    await using here = await connectFleet({ servers: localAddress ?? "" });
    nearMinute();
    await controlNode(here, "edge", { verb: "schedule", input: mark });
    await until("a run", async () => (await ran()).length === 1);
  });

  await t.step("and again after the agent has started anew without the hub, once for all that it missed", async () => {
    await agent[Symbol.asyncDispose]();
    ahead += 3 * 60_000;
    await all.start(spec);
    await until("what was missed", async () => (await ran()).length === 2);
  });

  await t.step("the hub hears of each run when it is back, by whose schedule it was", async () => {
    relay.restore();
    const ids = (await ran()).map((mark) => mark.replace("edge.", ""));
    await until("both results", async () => {
      const { commands } = await fleet.hub("command", "list", { limit: 50 }, LISTED);
      const known = commands.filter(({ schedule }) => schedule === "mark");
      return ids.every((one) =>
        known.some((command) => command.id === one && command.runs.edge?.state === "succeeded")
      );
    });
    for (const one of ids) {
      assert.equal(one, commandAt(id, Math.floor(timeOfUlid(one) / 60_000) * 60_000), "at a full minute");
    }
  });

  await t.step("it ends when it is taken away", async () => {
    for (const name of ["mark", "yearly"]) {
      await controlNode(fleet, "edge", { verb: "unschedule", input: { name } });
    }
    assert.deepEqual((await all.record("edge")).schedules, []);
    await until("the hub to know", async () => (await fleet.nodes("edge"))[0]?.schedules?.length === 0);
  });
});
