import assert from "node:assert/strict";
import { jetstreamManager, StorageType, type StreamConfig } from "@nats-io/jetstream";
import { PROJECTS_MAX } from "../../lib/auth/keyring.ts";
import { openKeyring } from "../../lib/auth/keyring.ts";
import { type Bus, openBus } from "../../lib/nats/bus.ts";
import { hubConfig, leafConfig, PROJECT_BYTES } from "../../lib/nats/server_config.ts";
import { startFleet } from "../fleet.ts";

async function streamsOf(bus: Bus): Promise<StreamConfig[]> {
  const found: StreamConfig[] = [];
  for await (const { config } of (await jetstreamManager(bus.connection)).streams.list()) found.push(config);
  return found;
}

function sum(streams: readonly StreamConfig[], storage: StorageType): number {
  for (const { name, max_bytes } of streams) assert.ok(max_bytes > 0, `${name} may grow without end`);
  return streams.filter((one) => one.storage === storage).reduce((total, { max_bytes }) => total + max_bytes, 0);
}

Deno.test("every stream and bucket has a bound, and together they fit what the servers give", async () => {
  await using fleet = await startFleet({ nodes: [{ id: "edge", leaf: {} }] });
  const keyring = await openKeyring(`${fleet.folder}/hub/hub/keys.json`, []);
  const hub = await streamsOf(await fleet.connect(keyring.projects[0].hubCreds()));
  assert.ok(hub.some(({ name }) => name === "XTASK_UP") && hub.some(({ name }) => name === "KV_xtask_nodes"));
  assert.ok(sum(hub, StorageType.File) <= PROJECT_BYTES.file);
  assert.ok(sum(hub, StorageType.Memory) <= PROJECT_BYTES.memory);
  const { jetstream } = hubConfig("", keyring.trust);
  assert.ok(PROJECTS_MAX * PROJECT_BYTES.file <= jetstream.max_file_store);
  assert.ok(PROJECTS_MAX * PROJECT_BYTES.memory <= jetstream.max_memory_store);

  await using own = await openBus({ servers: fleet.node("edge").localAddress! });
  const leaf = await streamsOf(own);
  assert.ok(leaf.some(({ name }) => name === "OUT"));
  const given = leafConfig("", { node: "edge", password: "", remotes: [], creds: "" }).jetstream;
  assert.ok(sum(leaf, StorageType.File) <= given.max_file_store);
  assert.ok(sum(leaf, StorageType.Memory) <= given.max_memory_store);
});

Deno.test("one server has room for several projects", async () => {
  const projects = ["p1", "p2", "p3", "p4", "p5"];
  await using fleet = await startFleet({ projects, nodes: [] });
  assert.deepEqual([fleet.up.project, ...fleet.up.others.map(({ project }) => project)], projects);
});
