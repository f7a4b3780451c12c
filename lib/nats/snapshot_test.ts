import assert from "node:assert/strict";
import { startTestServer } from "../../tests/nats_server.ts";
import { until } from "../../tests/until.ts";
import { storedResult, upAlert, upEvent, upResult } from "../protocol/subjects.ts";
import { type Bus, openBus } from "./bus.ts";
import { restore, snapshot, type StreamBackup } from "./snapshot.ts";
import { ensureStreams, readStream, STREAM } from "./streams.ts";
import { publishStored } from "./uplink.ts";

const CONFIG = { jetstream: { store_dir: "$DIR/store" } };

interface Written {
  readonly stream: StreamBackup;
  readonly chunks: readonly Uint8Array[];
}

async function written(bus: Bus, name: string): Promise<Written> {
  const chunks: Uint8Array[] = [];
  const stream = await snapshot(bus, name, (chunk) => Promise.resolve(chunks.push(chunk.slice())));
  return { stream, chunks };
}

async function report(bus: Bus, subject: string): Promise<void> {
  await publishStored(bus, { subject, headers: {}, payload: new TextEncoder().encode("told") }, {});
}

async function subjectsOf(bus: Bus, stream: string): Promise<string[]> {
  const subjects: string[] = [];
  for await (const { subject } of readStream(bus, stream, { subjects: ["xtask.>"], from: "first" })) {
    subjects.push(subject);
  }
  return subjects;
}

Deno.test("streams that derive from another go on where each stood when they are taken back: all is there, once and in order", async () => {
  const [results, events, alerts] = [STREAM.results, STREAM.events, STREAM.alerts];
  const backup: Written[] = [];
  {
    await using server = await startTestServer(CONFIG);
    await using bus = await openBus({ servers: server.url });
    await ensureStreams(bus, { project: "p" });
    for (const id of ["c1", "c2"]) await report(bus, upResult("n1", id));
    await report(bus, upEvent("n1", "before"));
    await until("the events before", async () => (await subjectsOf(bus, events)).length === 1);
    await until("the results before", async () => (await subjectsOf(bus, results)).length === 2);
    for (const name of [alerts, events, results]) {
      backup.push(await written(bus, name));
      // What comes between one and the next.
      await report(bus, upResult("n1", `after_${name}`));
      await report(bus, upEvent("n1", `after_${name}`));
      await report(bus, upAlert("n1", "info"));
    }
    backup.push(await written(bus, STREAM.up));
  }

  await using server = await startTestServer(CONFIG);
  await using bus = await openBus({ servers: server.url });
  for (const { stream, chunks } of backup.toReversed()) await restore(bus, stream, ReadableStream.from(chunks));
  // As a hub does when it starts.
  await ensureStreams(bus, { project: "p" });
  for (const subject of [upResult("n1", "last"), upEvent("n1", "last"), upAlert("n1", "critical")]) {
    await report(bus, subject);
  }
  const expected = {
    [results]: ["c1", "c2", `after_${alerts}`, `after_${events}`, `after_${results}`, "last"].map((id) =>
      storedResult(id, "n1")
    ),
    [events]: ["before", `after_${alerts}`, `after_${events}`, `after_${results}`, "last"].map((type) =>
      `xtask.events.p.${type}.n1`
    ),
    [alerts]: [...Array(3).fill("xtask.alerts.info.n1"), "xtask.alerts.critical.n1"],
  };
  for (const [stream, subjects] of Object.entries(expected)) {
    const found = await until(`all of ${stream}`, async () => {
      const found = await subjectsOf(bus, stream);
      return found.at(-1) === subjects.at(-1) && found;
    });
    assert.deepEqual(found, subjects);
    await assert.rejects(publishStored(bus, { subject: stream, headers: {}, payload: new Uint8Array() }, {}));
  }
});
