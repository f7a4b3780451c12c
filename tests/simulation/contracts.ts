/** What holds of the real thing and of its stand-in in the world alike. Each is run on both: see contracts_test.ts. */
import assert from "node:assert/strict";
import type { Accepted, JournalPort, Report } from "../../lib/agent/journal.ts";
import { publishBatch } from "../../lib/nats/batch.ts";
import { openBucket } from "../../lib/nats/bucket.ts";
import type { Bus } from "../../lib/nats/bus.ts";
import { ensureOwnStreams, outState, purgeOut, readOut } from "../../lib/nats/own_streams.ts";
import { ensureStreams, lastOf, lastSequence, readStream, sourceSequence, STREAM } from "../../lib/nats/streams.ts";
import { publishStored } from "../../lib/nats/uplink.ts";
import { newCommandId } from "../../lib/protocol/id.ts";
import type { Result } from "../../lib/protocol/run.ts";
import {
  outOf,
  resultSubject,
  storedResult,
  UP_EVENTS,
  upAlert,
  upEvent,
  upMark,
  upResult,
} from "../../lib/protocol/subjects.ts";
import * as v from "valibot";

/** A journal that can be killed and opened again. */
export interface JournalGround {
  open(): JournalPort & Disposable;
  /** Kills whoever has it open. */
  kill(journal: JournalPort & Disposable): Promise<void> | void;
}

const AT = "2026-01-01T00:00:00.000Z";

/** What the agent relies on of its journal. */
export async function journalContract(ground: JournalGround): Promise<void> {
  const accepted = (attempt = 1, id = newCommandId()): Accepted => {
    return { id, capability: "work", verb: "do", input: { a: [1, "é"] }, attempt, acceptedAt: AT };
  };
  const resultOf = ({ input: _, ...about }: Accepted): Result => ({
    ...about,
    node: "n1",
    state: "succeeded",
    finishedAt: AT,
    durationMs: 1,
    output: { head: "", tail: "", bytes: 0, lines: 0, truncated: false },
  });
  const report = (seq: number, size = 3): Report => {
    return { seq, subject: `s.${seq}`, headers: { a: "b" }, payload: new Uint8Array(size).fill(seq) };
  };
  const [done, open] = [accepted(), accepted()];
  let journal = ground.open();
  assert.deepEqual([journal.backlog(), journal.unfinished(), journal.trouble], [{ bytes: 0 }, [], undefined]);
  await Promise.all([journal.accept(done), journal.accept(open)]);
  await assert.rejects(journal.accept(accepted(1, done.id)), { code: "exhausted" }, "an id is taken once");
  await journal.finish(resultOf(done), [report(4), report(2)]);
  await journal.keep([report(3, 0), report(9, 100)]);
  await journal.keep([{ ...report(2), subject: "another" }]);
  await journal.drop([4]);
  await journal.setSetting("a", "1");
  await journal.setSetting("a", "2");
  const lost = journal.setSetting("lost", "1");
  lost.catch(() => {});
  const same = () => {
    assert.deepEqual(journal.find(done.id), { accepted: done, result: resultOf(done) });
    assert.equal(journal.find(newCommandId()), undefined);
    assert.deepEqual(journal.unfinished(), [{ accepted: open }]);
    assert.deepEqual({ ...journal.backlog() }, { first: 2, last: 9, bytes: 103 });
    assert.deepEqual(journal.reports({ from: 0, maxBytes: 1e6 }).map(({ seq, subject }) => `${seq} ${subject}`), [
      "2 s.2",
      "3 s.3",
      "9 s.9",
    ]);
    assert.deepEqual(journal.reports({ from: 3, maxBytes: 50 }).map(({ seq }) => seq), [3], "up to so many bytes");
    assert.deepEqual(journal.reports({ from: 9, maxBytes: 1 }).map(({ seq }) => seq), [9], "one at least");
    assert.deepEqual([journal.setting("a"), journal.setting("b")], ["2", undefined]);
  };
  same();
  await ground.kill(journal);
  journal = ground.open();
  same();
  const again = accepted(2, done.id);
  await journal.accept(again);
  assert.deepEqual(journal.find(done.id), { accepted: again }, "a later attempt takes the place of one that has ended");
  journal[Symbol.dispose]();
  await assert.rejects(journal.keep([report(10)]), { code: "unavailable" });
}

/** What hub and agents rely on of a server: streams, batches, buckets, requests. */
export async function serverContract(bus: Bus): Promise<void> {
  const bytes = (text: string) => new TextEncoder().encode(text);
  const text = (data: Uint8Array) => new TextDecoder().decode(data);

  // Requests.
  await assert.rejects(bus.request("nobody.there", ""), { code: "unavailable" });
  using _echo = bus.subscribe("echo.*", (message) => message.respond(message.text(), { Said: message.subject }));
  const answer = await bus.request("echo.a", "hello", { headers: { X: "y" } });
  assert.deepEqual([answer.text(), answer.header("Said"), answer.header("None")], ["hello", "echo.a", undefined]);

  // The hub's streams: one that is written to, others that derive from it and say so live.
  await ensureStreams(bus, { project: "p" });
  await ensureStreams(bus, { project: "p" });
  const live: string[] = [];
  using _live = bus.subscribe(resultSubject("*"), (message) => void live.push(`${message.subject} ${message.text()}`));
  const put = (subject: string, said: string, id?: string) =>
    publishStored(bus, { subject, headers: { H: said }, payload: bytes(said) }, id === undefined ? {} : { id });
  assert.equal(await put(upResult("n1", "c1"), "one", "id.1"), 1);
  assert.equal(await put(upResult("n1", "c1"), "one", "id.1"), 1, "a repeat is the same message");
  assert.equal(await put(upEvent("n1", "x"), "two", "id.2"), 2);
  assert.equal(await lastSequence(bus, STREAM.up), 2);
  assert.equal((await lastOf(bus, STREAM.up, UP_EVENTS))?.sequence, 2);
  assert.equal(await lastOf(bus, STREAM.up, upAlert("*", "*")), undefined);

  // Batches: whole or not at all, each behind the one that it names.
  const mark = upMark("n1", "s1");
  const batch = (...said: string[]) =>
    said.map((one, at) => ({ subject: at === 0 ? mark : upResult("n1", one), headers: {}, payload: bytes(one) }));
  assert.deepEqual(await publishBatch(bus, batch("m1", "c2", "c3"), { expected: 0, answerMs: 3_000 }), { first: 3 });
  assert.deepEqual(
    await publishBatch(bus, batch("m1", "c2", "c3"), { expected: 0, answerMs: 3_000 }),
    { newest: 3 },
    "not twice",
  );
  assert.deepEqual(await publishBatch(bus, batch("m2", "c4"), { expected: 3, answerMs: 3_000 }), { first: 6 });
  assert.equal(await lastSequence(bus, STREAM.up), 7);

  // Reading: from the beginning, and on as it comes.
  const [results, sources]: [string[], number[]] = [[], []];
  const stop = new AbortController();
  let asked = false;
  for await (
    const message of readStream(bus, STREAM.results, {
      subjects: [storedResult("*", "*")],
      from: "first",
      follow: true,
      signal: stop.signal,
    })
  ) {
    const { subject, data, pending, header } = message;
    sources.push(sourceSequence(message));
    results.push(`${subject} ${text(data)} ${header("H") ?? ""}`.trim());
    if (results.length === 5) stop.abort();
    else if (pending === 0 && !asked) {
      // What derives may lag: then there is nothing more at an earlier one, too.
      asked = true;
      await put(upResult("n2", "c5"), "five");
    }
  }
  assert.deepEqual(sources, [1, 4, 5, 7, 8]);
  assert.deepEqual(results, [
    `${storedResult("c1", "n1")} one one`,
    `${storedResult("c2", "n1")} c2`,
    `${storedResult("c3", "n1")} c3`,
    `${storedResult("c4", "n1")} c4`,
    `${storedResult("c5", "n2")} five five`,
  ]);
  await bus.flush();
  assert.deepEqual(live.map((one) => one.split(" ")[1]), ["one", "c2", "c3", "c4", "five"]);
  assert.equal((await lastOf(bus, STREAM.results, storedResult("c4", "n1")))?.text, "c4");
  assert.equal(await lastOf(bus, STREAM.results, storedResult("none", "n1")), undefined);
  const some = readStream(bus, STREAM.events, { subjects: ["none.*"], from: "first" });
  for await (const message of some) assert.fail(`${message.subject} was not asked for`);

  // Buckets.
  const bucket = await openBucket(bus, { name: "b", schema: v.object({ a: v.number() }), maxBytes: 2 ** 20 });
  assert.equal((await bucket.entries()).size, 0);
  await bucket.create("k.1", { a: 1 });
  await assert.rejects(bucket.create("k.1", { a: 2 }), { code: "conflict" });
  await bucket.put("k.2", { a: 2 });
  await bucket.put("k.2", { a: 3 });
  await bucket.put("k.3", { a: 4 });
  await bucket.delete("k.3");
  await bucket.delete("k.1");
  await bucket.create("k.1", { a: 5 });
  assert.deepEqual([await bucket.get("k.1"), await bucket.get("k.2"), await bucket.get("k.3")], [
    { a: 5 },
    { a: 3 },
    undefined,
  ]);
  assert.deepEqual(new Map([...await bucket.entries()].sort()), new Map([["k.1", { a: 5 }], ["k.2", { a: 3 }]]));
}

/** What a leaf node relies on of its own server. */
export async function ownStoreContract(bus: Bus): Promise<void> {
  const store = await ensureOwnStreams(bus, "p");
  assert.equal(await ensureOwnStreams(bus, "p"), store, "a store keeps its id");
  assert.deepEqual([await outState(bus), await readOut(bus, { from: 1, count: 9, bytes: 1e6 })], [
    { first: 1, last: 0, bytes: 0 },
    [],
  ]);
  for (let number = 1; number <= 5; number++) {
    const payload = new TextEncoder().encode(`r${number}`);
    const report = { subject: outOf(upEvent("n1", "x")), headers: { N: String(number) }, payload };
    assert.equal(await publishStored(bus, report, { id: `id.${number}` }), number);
  }
  const read = (from: number, count: number) => readOut(bus, { from, count, bytes: 1e6 });
  assert.deepEqual(
    (await read(2, 2)).map(({ sequence, subject, headers, id }) => ({ sequence, subject, headers, id })),
    [
      { sequence: 2, subject: outOf(upEvent("n1", "x")), headers: { N: "2" }, id: "id.2" },
      { sequence: 3, subject: outOf(upEvent("n1", "x")), headers: { N: "3" }, id: "id.3" },
    ],
  );
  await purgeOut(bus, 4);
  const { first, last } = await outState(bus);
  assert.deepEqual([first, last], [4, 5]);
  assert.deepEqual((await read(1, 9)).map(({ sequence }) => sequence), [4, 5]);
  assert.deepEqual(await read(6, 9), []);
}
