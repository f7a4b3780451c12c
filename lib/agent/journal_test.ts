import assert from "node:assert/strict";
import { XtaskError } from "../protocol/error.ts";
import { newCommandId } from "../protocol/id.ts";
import { REMEMBERED_RUNS } from "../protocol/limits.ts";
import type { Result } from "../protocol/run.ts";
import { type Accepted, Journal, type Report } from "./journal.ts";

const AT = "2026-01-01T00:00:00.000Z";

function accepted(id = newCommandId()): Accepted {
  return { id, capability: "task", verb: "run", input: { args: ["a'\"\n\0é"] }, attempt: 1, acceptedAt: AT };
}

function resultOf({ id, capability, verb, attempt }: Accepted): Result {
  const output = { head: "", tail: "", bytes: 0, lines: 0, truncated: false };
  return {
    id,
    node: "n1",
    capability,
    verb,
    attempt,
    state: "succeeded",
    acceptedAt: AT,
    finishedAt: AT,
    durationMs: 1,
    output,
  };
}

function report(seq: number, size = 3): Report {
  return { seq, subject: "s", headers: { a: "b" }, payload: new Uint8Array(size).fill(seq) };
}

async function folder(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir();
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** The journal's files as a process that is killed now leaves them. */
async function copyOf(path: string): Promise<string> {
  const copy = `${path}.copy`;
  for (const end of ["", "-wal"]) await Deno.copyFile(`${path}${end}`, `${copy}${end}`);
  return copy;
}

Deno.test("what was awaited is on disk: a killed agent's journal has it all", async () => {
  await using dir = await folder();
  using journal = new Journal(`${dir.path}/j`);
  const [done, open] = [accepted(), accepted()];
  await Promise.all([journal.accept(done), journal.accept(open)]);
  await journal.finish(resultOf(done), [report(1), report(2)]);
  await journal.keep([report(3, 0)]);
  await journal.drop([2]);
  await journal.setSetting("labels", "{}");
  await journal.setSetting("labels", '{"a":"b"}');
  using after = new Journal(await copyOf(`${dir.path}/j`));
  assert.deepEqual(after.find(done.id), { accepted: done, result: resultOf(done) });
  assert.deepEqual(after.unfinished(), [{ accepted: open }]);
  assert.deepEqual(after.reports({ from: 0, maxBytes: 1e6 }).map((one) => ({ ...one })), [report(1), report(3, 0)]);
  assert.deepEqual(after.backlog(), { first: 1, last: 3, bytes: 3 });
  assert.equal(after.setting("labels"), '{"a":"b"}');
  assert.equal(after.find(newCommandId()), undefined);
  assert.equal(after.setting("nothing"), undefined);
});

Deno.test("a burst of writes is one commit", async () => {
  await using dir = await folder();
  using journal = new Journal(`${dir.path}/j`);
  const before = await commitsIn(`${dir.path}/j-wal`);
  await Promise.all(Array.from({ length: 300 }, () => journal.accept(accepted())));
  assert.equal(await commitsIn(`${dir.path}/j-wal`) - before, 1);
  assert.equal(journal.unfinished().length, 300);
});

/** Commits in a write-ahead log: frames whose header tells the size of the database after them. */
async function commitsIn(path: string): Promise<number> {
  const bytes = await Deno.readFile(path);
  const view = new DataView(bytes.buffer);
  const [headerBytes, frameHeaderBytes] = [32, 24];
  if (bytes.length < headerBytes) return 0;
  const frameBytes = frameHeaderBytes + view.getUint32(8);
  let commits = 0;
  for (let at = headerBytes; at + frameBytes <= bytes.length; at += frameBytes) {
    if (view.getUint32(at + 4) !== 0) commits++;
  }
  return commits;
}

Deno.test("writes that nobody has awaited yet are kept when the journal is closed, which may be done twice", async () => {
  await using dir = await folder();
  const journal = new Journal(`${dir.path}/j`);
  const one = accepted();
  const written = journal.accept(one);
  journal[Symbol.dispose]();
  await written;
  journal[Symbol.dispose]();
  using again = new Journal(`${dir.path}/j`);
  assert.deepEqual(again.unfinished(), [{ accepted: one }]);
});

Deno.test("a closed journal refuses writes", async () => {
  await using dir = await folder();
  const journal = new Journal(`${dir.path}/j`);
  journal[Symbol.dispose]();
  await assert.rejects(journal.accept(accepted()), { name: "XtaskError" });
});

Deno.test("only the newest ended runs are remembered, and an unended one however old it is", async () => {
  await using dir = await folder();
  let now = 0;
  using journal = new Journal(`${dir.path}/j`, { now: () => now++ });
  const old = accepted();
  await journal.accept(old);
  const ended = Array.from({ length: REMEMBERED_RUNS + 5 }, () => accepted());
  await Promise.all(ended.flatMap((one) => [journal.accept(one), journal.finish(resultOf(one), [])]));
  assert.deepEqual(ended.map(({ id }) => journal.find(id) !== undefined), ended.map((_, at) => at >= 5));
  assert.deepEqual(journal.unfinished(), [{ accepted: old }]);
});

Deno.test("reports are read in order, a bounded amount at a time but at least one", async () => {
  await using dir = await folder();
  using journal = new Journal(`${dir.path}/j`);
  await journal.keep([report(5, 100), report(2, 100), report(9, 100)]);
  await journal.keep([report(5, 100)]);
  const seqs = (from: number, maxBytes: number) => journal.reports({ from, maxBytes }).map(({ seq }) => seq);
  assert.deepEqual(seqs(0, 1e6), [2, 5, 9]);
  assert.deepEqual(seqs(3, 1e6), [5, 9]);
  assert.deepEqual(seqs(0, 200), [2, 5]);
  assert.deepEqual(seqs(0, 1), [2]);
  assert.deepEqual(seqs(10, 1e6), []);
  await journal.drop([2, 5, 9, 77]);
  assert.deepEqual(journal.backlog(), { bytes: 0 });
});

Deno.test("a file that is no journal, or a torn one, is refused and left as it is", async () => {
  await using dir = await folder();
  const path = `${dir.path}/j`;
  {
    using journal = new Journal(path);
    await Promise.all(Array.from({ length: 200 }, () => journal.accept(accepted())));
  }
  const torn = await Deno.readFile(path);
  // The inside of every page but the first, as a disk that lied about what it had written leaves them.
  for (let page = 4096; page < torn.length; page += 4096) torn.fill(0xa5, page, page + 2048);
  const cut = torn.slice(0, 4096 + 100);
  for (const bytes of [new TextEncoder().encode("a note that somebody put here\n".repeat(200)), torn, cut]) {
    await Deno.writeFile(path, bytes);
    assert.throws(() => new Journal(path), (error) => {
      assert.ok(error instanceof XtaskError && error.code === "internal", String(error));
      assert.ok(error.message.includes(path) && error.details.some((line) => line.includes("move the file away")));
      return true;
    });
    assert.deepEqual(await Deno.readFile(path), bytes);
  }
});

/** Whether this process may mount a file system: CAP_SYS_ADMIN is bit 21. Root in a container often may not. */
const mayMount = Deno.build.os === "linux" &&
  (BigInt(`0x${/^CapEff:\s*(\w+)/m.exec(Deno.readTextFileSync("/proc/self/status"))?.[1] ?? "0"}`) >> 21n) % 2n === 1n;

Deno.test({
  name: `a full disk refuses new work as exhausted, keeps what is there whole, and heals when there is space again${
    mayMount ? "" : " (left out: this user may not mount the small disk it needs)"
  }`,
  ignore: !mayMount,
  async fn() {
    await using dir = await folder();
    await using disk = await smallDisk(dir.path);
    using journal = new Journal(`${disk.path}/j`);
    const first = accepted();
    await journal.accept(first);
    const filler = await Deno.open(`${disk.path}/filler`, { write: true, create: true });
    await fill(filler);
    const refused = Array.from({ length: 50 }, () => accepted());
    const outcomes = await Promise.allSettled([
      ...refused.map((one) => journal.accept(one)),
      journal.finish(resultOf(first), [report(1, 50_000)]),
    ]);
    for (const outcome of outcomes) {
      assert.ok(outcome.status === "rejected", "a write went through, so the disk is not full");
      assert.ok(outcome.reason instanceof XtaskError && outcome.reason.code === "exhausted", String(outcome.reason));
    }
    assert.deepEqual(journal.unfinished(), [{ accepted: first }], "nothing is half-written");
    assert.deepEqual(journal.backlog(), { bytes: 0 });
    filler.close();
    await Deno.remove(`${disk.path}/filler`);
    await journal.finish(resultOf(first), [report(1)]);
    await journal.accept(refused[0] as Accepted);
    using after = new Journal(await copyOf(`${disk.path}/j`));
    assert.deepEqual(after.unfinished(), [{ accepted: refused[0] }]);
    assert.deepEqual(after.find(first.id)?.result, resultOf(first));
  },
});

/** A file system of its own, a megabyte large. */
async function smallDisk(parent: string): Promise<AsyncDisposable & { readonly path: string }> {
  const path = `${parent}/disk`;
  await Deno.mkdir(path);
  await run("mount", ["-t", "tmpfs", "-o", "size=1m", "none", path]);
  return { path, [Symbol.asyncDispose]: () => run("umount", ["--lazy", path]) };
}

async function run(program: string, args: string[]): Promise<void> {
  const { success, stderr } = await new Deno.Command(program, { args }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
}

/** Writes until there is no space left, to the last byte. */
async function fill(file: Deno.FsFile): Promise<void> {
  for (const size of [65_536, 4_096, 1]) {
    for (;;) {
      try {
        await file.write(new Uint8Array(size));
      } catch {
        break;
      }
    }
  }
}
