import assert from "node:assert/strict";
import { setImmediate } from "node:timers/promises";
import { until } from "../../tests/until.ts";
import { LOG_SPOOL_BYTES, LOG_UNACKED_BYTES } from "../protocol/limits.ts";
import type { Draft } from "./outbox.ts";
import { draft, Node, numbers, textOf } from "./outbox_for_tests.ts";

Deno.test("reports arrive in the order they were made, each once, and leave nothing behind", async () => {
  await using node = await Node.start();
  for (const text of numbers(200)) {
    if (Number(text.slice(1)) % 2 === 0) await node.outbox.facts([draft(text)]);
    else assert.ok(await node.outbox.log(draft(text)));
  }
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(200));
  assert.ok(node.outbox.empty);
  assert.deepEqual(node.journal.backlog(), { bytes: 0 });
  assert.deepEqual(node.troubles, []);
});

Deno.test("a long outage is survived on disk and made up for in order", async () => {
  await using node = await Node.start();
  node.line.cut();
  for (const text of numbers(500)) {
    if (Number(text.slice(1)) % 3 === 0) await node.outbox.facts([draft(text, 5_000)]);
    else assert.ok(await node.outbox.log(draft(text, 5_000)));
  }
  assert.equal(node.line.attempts, 0, "nothing is tried on a link that is known to be down");
  assert.equal(new Set(node.journal.reports({ from: 0, maxBytes: 1e9 }).map(textOf)).size, 500, "all is on disk");
  node.line.restore();
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(500));
  assert.deepEqual(node.journal.backlog(), { bytes: 0 });
});

Deno.test("a link that fails again while a backlog is made up for loses and reorders nothing", async () => {
  await using node = await Node.start();
  node.line.cut();
  await node.outbox.facts(numbers(1_000).map((text) => draft(text, 3_000)));
  for (const [at, arrived] of [0, 10, 64, 3].entries()) {
    node.line.stalled = true;
    node.line.restore();
    await until("reports on their way", () => node.line.inFlight > 0);
    node.line.cut(arrived);
    // A newer report while the link is down sends what is in memory to disk.
    await node.outbox.facts([draft(`f${1_000 + at}`)]);
  }
  node.line.stalled = false;
  node.line.restore();
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(1_004));
  assert.equal(node.troubles.length, 1, "until something gets through it is one outage");
});

Deno.test("what came while the link was down goes before what comes after", async () => {
  await using node = await Node.start();
  node.line.cut();
  await node.outbox.facts(numbers(300).map((text) => draft(text, 10_000)));
  node.line.stalled = true;
  node.line.restore();
  await until("reports on their way", () => node.line.inFlight > 0);
  await node.outbox.facts([draft("f300"), draft("f301")]);
  node.line.stalled = false;
  node.line.answer();
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(302));
});

Deno.test("an agent that is stopped and started goes on where it was", async () => {
  await using node = await Node.start();
  node.line.cut();
  await node.outbox.facts([draft("f0"), draft("f1")]);
  assert.ok(await node.outbox.log(draft("f2")));
  await node.restart();
  assert.ok(!node.outbox.empty);
  await node.outbox.facts([draft("f3")]);
  node.line.restore();
  await node.flushed();
  await node.restart();
  await node.outbox.facts([draft("f4")]);
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(5));
});

Deno.test("an agent that is killed never gives a number again, so that no report is taken for an earlier one", async () => {
  await using node = await Node.start();
  await node.outbox.facts([draft("f0"), draft("f1")]);
  assert.ok(await node.outbox.log(draft("f2")));
  await node.flushed();
  for (const text of ["f3", "f4", "f5"]) {
    await node.crash();
    await node.outbox.facts([draft(text)]);
    await node.flushed();
  }
  assert.deepEqual(node.arrived, numbers(6));
});

Deno.test("what a run wrote is as safe as its result: an agent that is killed then hands over all of it", async () => {
  await using node = await Node.start();
  node.line.stalled = true;
  const [other, ...own] = [{ ...draft("of another run"), subject: "other" }, ...numbers(3).map((text) => draft(text))];
  for (const one of [other as Draft, ...own]) assert.ok(await node.outbox.log(one));
  await node.outbox.conclude([draft("result")], "s", (reports) => node.journal.keep(reports));
  await node.crash();
  assert.deepEqual(node.journal.reports({ from: 0, maxBytes: 1e9 }).map(textOf), [...numbers(3), "result"]);
  node.line.stalled = false;
  await node.outbox.facts([draft("later")]);
  await node.flushed();
  assert.deepEqual(node.arrived, [...numbers(3), "result", "later"]);
  assert.deepEqual(node.journal.backlog(), { bytes: 0 });
});

Deno.test("a disk that does not take a result changes nothing about the output that is on its way", async () => {
  await using node = await Node.start();
  node.line.stalled = true;
  assert.ok(await node.outbox.log(draft("f0")));
  const before = node.outbox.backlogBytes;
  const full = () => Promise.reject(new Error("the disk is full"));
  await assert.rejects(node.outbox.conclude([draft("f1")], "s", full), /full/);
  assert.equal(node.outbox.backlogBytes, before);
  await node.outbox.conclude([draft("f1")], "s", (reports) => node.journal.keep(reports));
  node.line.stalled = false;
  node.line.answer();
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(2));
  assert.deepEqual(node.journal.backlog(), { bytes: 0 });
});

Deno.test("while the link is up a hub that does not answer slows output down and then takes all of it", async () => {
  await using node = await Node.start();
  node.line.stalled = true;
  const size = 512 * 1024;
  let taken = 0;
  const writing = (async () => {
    for (const text of numbers(24)) {
      assert.ok(await node.outbox.log(draft(text, size)));
      taken++;
    }
  })();
  await until("the bound", () => (taken + 1) * size >= LOG_UNACKED_BYTES);
  for (let turn = 0; turn < 50; turn++) await setImmediate();
  assert.ok(taken * size <= LOG_UNACKED_BYTES, `${taken * size} bytes were taken without an answer`);
  node.line.stalled = false;
  node.line.answer();
  await writing;
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(24));
  assert.deepEqual(node.troubles, []);
});

Deno.test("output that waits for room goes to disk when the link breaks", async () => {
  await using node = await Node.start();
  node.line.stalled = true;
  const size = 1024 * 1024;
  const writing = (async () => {
    for (const text of numbers(8)) assert.ok(await node.outbox.log(draft(text, size)));
  })();
  await until("output on its way", () => node.line.inFlight > 0);
  node.line.cut();
  await writing;
  assert.ok(node.journal.backlog().bytes >= 7 * size);
  node.line.stalled = false;
  node.line.restore();
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(8));
});

Deno.test("output beyond the disk's share is refused while facts still are not, until the hub has taken some", async () => {
  await using node = await Node.start();
  node.line.cut();
  const size = 16 * 1024 * 1024 - 32;
  const fits = LOG_SPOOL_BYTES / (size + 32);
  for (const text of numbers(fits, "l")) assert.ok(await node.outbox.log(draft(text, size)), text);
  assert.equal(await node.outbox.log(draft("too much")), false);
  await node.outbox.facts([draft("fact")]);
  node.line.restore();
  await node.flushed();
  node.line.cut();
  assert.ok(await node.outbox.log(draft("again")));
  node.line.restore();
  await node.flushed();
  assert.deepEqual(node.arrived, [...numbers(fits, "l"), "fact", "again"]);
});

Deno.test("a disk that refuses costs output, is told once, and never a fact that was taken", async () => {
  await using node = await Node.start();
  node.line.cut();
  await node.outbox.facts([draft("f0")]);
  // A closed journal refuses as a full disk does.
  const { journal } = node;
  const keep = journal.keep.bind(journal);
  let writable = false;
  journal.keep = (reports) => writable || reports.length === 0 ? keep(reports) : Promise.reject(new Error("disk full"));
  for (const text of ["l0", "l1", "l2"]) assert.equal(await node.outbox.log(draft(text)), false);
  await assert.rejects(node.outbox.facts([draft("refused")]), /disk full/);
  assert.equal(node.troubles.length, 1);
  writable = true;
  await node.outbox.facts([draft("f1")]);
  assert.ok(await node.outbox.log(draft("l3")));
  node.line.restore();
  await node.flushed();
  assert.deepEqual(node.arrived, ["f0", "f1", "l3"]);
});

Deno.test("output that was taken while the link was up is not lost when that breaks and the disk refuses", async () => {
  await using node = await Node.start();
  node.line.stalled = true;
  for (const text of ["l0", "l1"]) assert.equal(await node.outbox.log(draft(text)), true);
  await until("output on its way", () => node.line.inFlight > 0);
  node.line.cut();
  const { journal } = node;
  const keep = journal.keep.bind(journal);
  journal.keep = (reports) => reports.length === 0 ? keep(reports) : Promise.reject(new Error("disk full"));
  assert.equal(await node.outbox.log(draft("l2")), false, "its run tells of the gap");
  journal.keep = keep;
  assert.equal(await node.outbox.log(draft("l3")), true);
  assert.equal(
    new Set(journal.reports({ from: 0, maxBytes: 1e9 }).map(textOf)).size,
    3,
    "what the disk takes now is on it",
  );
  node.line.stalled = false;
  node.line.restore();
  await node.flushed();
  assert.deepEqual(node.arrived, ["l0", "l1", "l3"]);
  assert.deepEqual(node.journal.backlog(), { bytes: 0 });
});

Deno.test("where the store behind the link is full, output gives way and facts go on", async () => {
  await using node = await Node.start();
  node.line.full = true;
  assert.equal(await node.outbox.log(draft("output")), false);
  await node.outbox.facts([draft("fact")]);
  await node.flushed();
  node.line.full = false;
  assert.equal(await node.outbox.log(draft("more")), true);
  await node.flushed();
  assert.deepEqual(node.arrived, ["fact", "more"]);
});

Deno.test("output that is secured survives the node's death while it is on its way, and is stored once", async () => {
  await using node = await Node.start();
  const safe: string[] = [];
  node.line.stalled = true;
  for (const text of numbers(150)) await node.outbox.log(draft(text), () => safe.push(text));
  await until("output on its way", () => node.line.inFlight > 0);
  assert.deepEqual(safe, [], "what is only on its way may be lost");
  await node.outbox.secure();
  assert.deepEqual(safe, numbers(150), "told in order");
  await node.crash();
  node.line.stalled = false;
  await node.flushed();
  assert.deepEqual(node.arrived, numbers(150));
});

Deno.test("output that is secured while the link is up goes on its way all the same", async () => {
  await using node = await Node.start();
  node.line.stalled = true;
  for (const text of numbers(150)) await node.outbox.log(draft(text));
  await until("output on its way", () => node.line.inFlight > 0);
  await node.outbox.secure();
  await node.outbox.log(draft("last"));
  node.line.stalled = false;
  node.line.answer();
  await node.flushed();
  assert.deepEqual(node.arrived, [...numbers(150), "last"]);
  assert.deepEqual(node.journal.backlog(), { bytes: 0 });
});

Deno.test("output is told to be safe when the hub has it", async () => {
  await using node = await Node.start();
  const safe: string[] = [];
  for (const text of numbers(100)) await node.outbox.log(draft(text), () => safe.push(text));
  await node.flushed();
  assert.deepEqual(safe, numbers(100));
});
