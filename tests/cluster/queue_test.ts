import assert from "node:assert/strict";
import * as v from "valibot";
import { connectFleet, type Fleet } from "../../lib/client/fleet.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import { CommandRecord } from "../../lib/protocol/run.ts";
import { startFleet } from "../fleet.ts";
import { until } from "../until.ts";

const TASKFILE = JSON.stringify({ version: "3", silent: true, tasks: { mark: { cmds: ["echo ran >> ran.txt"] } } });

const ran = async (dir: string) => (await Deno.readTextFile(`${dir}/ran.txt`).catch(() => "")).split("\n").length - 1;

const LISTED = v.object({ commands: v.array(CommandRecord) });
const CANCELLED = v.object({ id: v.string(), outcomes: v.record(v.string(), v.string()) });

const stateOf = async (fleet: Fleet, id: string, node: string) =>
  // The hub's own word of it comes to it as every event does: a moment later.
  (await fleet.hub("command", "list", { limit: 50 }, LISTED)).commands.find((one) => one.id === id)?.runs[node]?.state;

Deno.test("a command waits at the hub for a node that is away", async (t) => {
  await using all = await startFleet({ nodes: ["n1", "n2"], taskfile: TASKFILE });
  await using fleet = await connectFleet({ servers: all.url, creds: all.up.adminCreds });
  const { dir } = all.node("n1");
  const mark = { capability: "task", verb: "run", input: { args: ["mark"] }, nodes: ["n1"] };
  const away = async () => {
    await all.node("n1").agent[Symbol.asyncDispose]();
    await until("n1 to be offline", async () => (await fleet.nodes("n1"))[0]?.state === "offline");
  };
  const ended = (id: string, state: string) =>
    until(`${id} to be ${state}`, async () => await stateOf(fleet, id, "n1") === state);

  await t.step("it is given to the node when it is back, and started once, however often it was left", async () => {
    await away();
    const id = newCommandId();
    const { deadline } = await fleet.queue({ ...mark, id });
    assert.ok(Date.parse(deadline) > Date.now() + 6 * 24 * 60 * 60_000);
    await ended(id, "queued");
    await fleet.queue({ ...mark, id });
    await all.start("n1");
    await ended(id, "succeeded");
    await fleet.queue({ ...mark, id });
    const next = newCommandId();
    await fleet.queue({ ...mark, id: next });
    await ended(next, "succeeded");
    assert.equal(await ran(dir), 2, "once for each id");
    const { by } = await fleet.hub("command", "show", { id }, CommandRecord);
    assert.deepEqual(by, { user: "admin", proven: true }, "whoever left it is who asked");
  });

  await t.step("past its deadline it is expired, and nobody gets it", async () => {
    await away();
    const id = newCommandId();
    await fleet.queue({ ...mark, id, deadline: new Date(Date.now() + 500) });
    await ended(id, "expired");
    const kept = newCommandId();
    await fleet.queue({ ...mark, id: kept });
    await fleet.hub("command", "cancel", { id: kept }, CANCELLED);
    await ended(kept, "cancelled");
    const last = newCommandId();
    await fleet.queue({ ...mark, id: last });
    await all.start("n1");
    await ended(last, "succeeded");
    assert.equal(await ran(dir), 3, "neither the one that expired nor the one that was taken back");
  });

  await t.step("what the node refuses ends there, and the others go on", async () => {
    await away();
    const [bad, good] = [newCommandId(), newCommandId()];
    await fleet.queue({ ...mark, id: bad, verb: "nosuch" });
    await fleet.queue({ ...mark, id: good });
    await all.start("n1");
    await ended(bad, "refused");
    await ended(good, "succeeded");
    await assert.rejects(fleet.queue({ ...mark, nodes: ["*"] }), { code: "invalid" });
    await assert.rejects(fleet.queue({ ...mark, verb: "run.>" }), { code: "invalid" });
  });
});
