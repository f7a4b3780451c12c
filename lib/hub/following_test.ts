/** What the hub takes for known, on a real server. */
import assert from "node:assert/strict";
import { jetstreamManager } from "@nats-io/jetstream";
import { startTestServer } from "../../tests/nats_server.ts";
import { openBucket } from "../nats/bucket.ts";
import { type Bus, openBus } from "../nats/bus.ts";
import { ensureStreams, STREAM } from "../nats/streams.ts";
import { publishStored } from "../nats/uplink.ts";
import type { Event } from "../protocol/event.ts";
import { newCommandId } from "../protocol/id.ts";
import { CommandRecord } from "../protocol/run.ts";
import { upEvent } from "../protocol/subjects.ts";
import { BUCKETS } from "./buckets.ts";
import { Commands } from "./commands.ts";
import { follow } from "./following.ts";

async function tell(bus: Bus, event: Event): Promise<void> {
  const payload = new TextEncoder().encode(JSON.stringify(event));
  await publishStored(bus, { subject: upEvent("n1", event.type), headers: {}, payload }, { id: crypto.randomUUID() });
}

/** Follows until all is known, and says how a command then stands. */
async function stateWhenCaughtUp(bus: Bus, id: string, meanwhile: () => Promise<void>, onLag?: () => void) {
  const commands = new Commands();
  const stop = new AbortController();
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  const records = await openBucket(bus, { ...BUCKETS.commands, schema: CommandRecord });
  const nobody = { hear: () => {}, told: () => {} };
  const following = follow(
    { bus, project: "p", commands, records, alarm: nobody, placements: nobody, onLag, log: () => {} },
    stop.signal,
    () => resolve(commands.get(id)?.runs.n1?.state),
  );
  await meanwhile();
  const state = await promise;
  stop.abort();
  await following;
  return state;
}

Deno.test("nothing is taken for known that was told, and that the server has not derived yet", async (t) => {
  await using server = await startTestServer({ jetstream: { store_dir: "$DIR/store" } });
  await using bus = await openBus({ servers: server.url });
  await ensureStreams(bus, { project: "p" });
  const manager = await jetstreamManager(bus.connection);
  const { config } = await manager.streams.info(STREAM.events);
  const derive = async () => void await manager.streams.update(STREAM.events, config);
  /** Has a command told of that the stream of events does not hear of. */
  const unheard = async () => {
    await manager.streams.delete(STREAM.events);
    const { sources: _, ...alone } = config;
    await manager.streams.add({ ...alone, name: STREAM.events });
    const id = newCommandId();
    const about = { at: new Date().toISOString(), node: "n1", command: id, attempt: 1 };
    await tell(bus, { type: "command_accepted", ...about, capability: "task", verb: "run" });
    await tell(bus, { type: "command_result", ...about, state: "cancelled", durationMs: 1 });
    return id;
  };

  await t.step("it is waited for", async () => {
    assert.equal(await stateWhenCaughtUp(bus, await unheard(), derive), "cancelled");
  });

  await t.step("where nothing comes that is told of, so that the server can be made to derive", async () => {
    let mended: Promise<void> | undefined;
    const onLag = () => void (mended ??= derive());
    assert.equal(await stateWhenCaughtUp(bus, await unheard(), async () => {}, onLag), "cancelled");
    await mended;
  });
});

Deno.test("where all events are too old to be kept, there is nothing to catch up with", async () => {
  await using server = await startTestServer({ jetstream: { store_dir: "$DIR/store" } });
  await using bus = await openBus({ servers: server.url });
  await ensureStreams(bus, { project: "p" });
  const id = newCommandId();
  const about = { at: new Date().toISOString(), node: "n1", command: id, attempt: 1 };
  await tell(bus, { type: "command_accepted", ...about, capability: "task", verb: "run" });
  assert.equal(await stateWhenCaughtUp(bus, id, async () => {}), "accepted");
  const manager = await jetstreamManager(bus.connection);
  await manager.streams.purge(STREAM.up);
  await manager.streams.purge(STREAM.events);
  assert.equal(await stateWhenCaughtUp(bus, id, async () => {}), undefined);
});
