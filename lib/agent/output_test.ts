import assert from "node:assert/strict";
import fc from "fast-check";
import { until } from "../../tests/until.ts";
import { LOG_BATCH_BYTES, OUTPUT_EDGE_BYTES } from "../protocol/limits.ts";
import { HEADER } from "../protocol/run.ts";
import type { Draft } from "./outbox.ts";
import { Output } from "./output.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** An output and what it has sent; `takes` says which drafts are taken, by their place. */
function output({ held = false, takes = (_: number): boolean | Promise<boolean> => true } = {}) {
  const sent: Draft[] = [];
  const tried: Draft[] = [];
  /** Whoever ends an output sends its closing message. */
  class Sent extends Output {
    override async end() {
      const closing = await super.end();
      if (closing !== undefined) sent.push(closing);
      return closing;
    }
  }
  const made = new Sent({
    subject: "s",
    attempt: 1,
    held,
    now: () => 0,
    async send(draft) {
      tried.push(draft);
      const taken = await takes(tried.length - 1);
      if (taken) sent.push(draft);
      return taken;
    },
  });
  return { made, sent, tried };
}

const header = ({ headers }: Draft, name: keyof typeof HEADER) => headers[HEADER[name]];
const join = (chunks: readonly Uint8Array[]) => Uint8Array.from(chunks.flatMap((chunk) => [...chunk]));

/** Which stream each byte of the batches came from, as their labels tell. */
function labelled(drafts: readonly Draft[]): { out: Uint8Array; err: Uint8Array } {
  const parts = { out: [] as Uint8Array[], err: [] as Uint8Array[] };
  for (const draft of drafts) {
    const label = header(draft, "logStream");
    if (label === undefined) continue;
    let at = 0;
    for (const piece of label.split(",")) {
      const [stream, size] = piece.split(":") as ["out" | "err", string | undefined];
      const end = size === undefined ? draft.payload.length : at + Number(size);
      parts[stream].push(draft.payload.subarray(at, end));
      at = end;
    }
    assert.equal(at, draft.payload.length, `${label} does not account for ${draft.payload.length} bytes`);
  }
  return { out: join(parts.out), err: join(parts.err) };
}

Deno.test("all bytes arrive unharmed and numbered, in batches of bounded size, each with its stream", async () => {
  const chunk = fc.oneof(
    fc.uint8Array({ maxLength: 300 }),
    fc.constantFrom(...["\0\r\n\x1b[31m\x07\x1b]0;t\x07", "\ufeffé漢🎉", "\r", "\n"].map(bytesOf)),
    fc.integer({ min: LOG_BATCH_BYTES - 2, max: 2 * LOG_BATCH_BYTES + 2 }).map((size) =>
      new Uint8Array(size).fill(size)
    ),
  );
  const writes = fc.array(fc.record({ stream: fc.constantFrom("out" as const, "err" as const), bytes: chunk }), {
    maxLength: 12,
  });
  await fc.assert(
    fc.asyncProperty(writes, async (pieces) => {
      const { made, sent } = output();
      for (const { stream, bytes } of pieces) await made.write(stream, new Uint8Array(bytes));
      await made.end();
      const all = join(pieces.map(({ bytes }) => bytes));
      assert.deepEqual(join(sent.map(({ payload }) => payload)), all);
      const of = (wanted: string) => join(pieces.filter(({ stream }) => stream === wanted).map(({ bytes }) => bytes));
      assert.deepEqual(labelled(sent), { out: of("out"), err: of("err") });
      let offset = 0;
      for (const [at, draft] of sent.entries()) {
        assert.equal(header(draft, "logSeq"), String(at));
        assert.equal(header(draft, "logOffset"), String(offset));
        assert.equal(header(draft, "logEnd"), at === sent.length - 1 ? String(all.length) : undefined);
        assert.equal(header(draft, "logGap"), undefined);
        assert.ok(draft.payload.length <= LOG_BATCH_BYTES);
        offset += draft.payload.length;
      }
    }),
    { numRuns: 25 },
  );
});

Deno.test("the summary counts everything and keeps the beginning and the end, also inside long characters", async () => {
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 50 }),
    fc.constantFrom(
      "",
      "\n",
      "a\n\nb",
      "no end",
      "\ufeffmark",
      "漢".repeat(OUTPUT_EDGE_BYTES / 2),
      `${"é".repeat(OUTPUT_EDGE_BYTES)}\n`,
      "x".repeat(OUTPUT_EDGE_BYTES),
      `${"x\n".repeat(OUTPUT_EDGE_BYTES)}`,
      "🎉".repeat(OUTPUT_EDGE_BYTES),
    ),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(text, { maxLength: 6 }), async (chunks) => {
      const { made } = output();
      for (const chunk of chunks) await made.write("out", bytesOf(chunk));
      await made.end();
      const shown = chunks.join("");
      const whole = bytesOf(shown);
      const { head, tail, bytes, lines, truncated } = made.summary();
      assert.equal(bytes, whole.length);
      assert.equal(lines, shown === "" ? 0 : shown.split("\n").length - (shown.endsWith("\n") ? 1 : 0));
      assert.equal(truncated, whole.length > 2 * OUTPUT_EDGE_BYTES);
      if (!truncated) assert.equal(head + tail, shown);
      else {
        // A character that is cut shows as U+FFFD at the cut.
        assert.ok(shown.startsWith(head.replace(/\ufffd$/, "")) && shown.endsWith(tail.replace(/^\ufffd+/, "")));
        assert.ok(bytesOf(head).length >= OUTPUT_EDGE_BYTES - 4 && bytesOf(tail).length >= OUTPUT_EDGE_BYTES - 4);
      }
    }),
  );
});

Deno.test("output that is held is not sent while the result can hold it, and is sent whole once it cannot or somebody follows", async () => {
  const short = output({ held: true });
  await short.made.write("out", new Uint8Array(OUTPUT_EDGE_BYTES));
  await short.made.end();
  assert.deepEqual(short.tried, []);
  assert.equal(short.made.summary().bytes, OUTPUT_EDGE_BYTES);

  const long = output({ held: true });
  await long.made.write("out", new Uint8Array(OUTPUT_EDGE_BYTES));
  await long.made.write("err", new Uint8Array(1));
  await long.made.end();
  assert.equal(join(long.sent.map(({ payload }) => payload)).length, OUTPUT_EDGE_BYTES + 1);
  assert.equal(header(long.sent[0] as Draft, "logStream"), `out:${OUTPUT_EDGE_BYTES},err:1`);

  const followed = output({ held: true });
  await followed.made.write("out", bytesOf("early "));
  followed.made.release();
  await until("what was held", () => followed.sent.length > 0);
  await followed.made.write("out", bytesOf("late"));
  await followed.made.end();
  assert.equal(textOf(join(followed.sent.map(({ payload }) => payload))), "early late");
  assert.equal(header(followed.sent.at(-1) as Draft, "logEnd"), "10");
});

Deno.test("a little output is sent soon, without waiting for more", async () => {
  const { made, sent } = output();
  await made.write("out", bytesOf("a"));
  await made.write("err", bytesOf("b"));
  assert.equal(sent.length, 0, "it waits for company first");
  await until("the batch", () => sent.length > 0);
  assert.equal(header(sent[0] as Draft, "logStream"), "out:1,err:1");
  await made.end();
});

Deno.test("what was given up is told by the next message that gets through, and offsets go on counting it", async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }), async (taken) => {
      const { made, sent, tried } = output({ takes: (at) => taken[at] ?? true });
      for (const at of taken.keys()) await made.write("out", new Uint8Array(LOG_BATCH_BYTES).fill(at));
      await made.end();
      let at = 0;
      for (const draft of sent) {
        const gap = Number(header(draft, "logGap") ?? 0);
        assert.equal(Number(header(draft, "logOffset")), at + gap, "offset less gap is where the last message ended");
        at += gap + draft.payload.length;
      }
      assert.equal(at, taken.length * LOG_BATCH_BYTES);
      assert.equal(header(sent.at(-1) as Draft, "logEnd"), String(at));
      assert.deepEqual(tried.map((draft) => header(draft, "logSeq")), tried.map((_, seq) => String(seq)));
    }),
    { numRuns: 40 },
  );
});

Deno.test("a slow hub slows the writer down, one batch at a time", async () => {
  let release = () => {};
  let most = 0;
  let now = 0;
  const { made, sent } = output({
    takes: async () => {
      most = Math.max(most, ++now);
      await new Promise<void>((resolve) => release = resolve);
      now--;
      return true;
    },
  });
  let written = 0;
  const writing = (async () => {
    for (let at = 0; at < 4; at++) {
      await made.write("out", new Uint8Array(LOG_BATCH_BYTES));
      written++;
    }
  })();
  for (let at = 0; at < 4; at++) {
    await until("a batch on its way", () => now === 1);
    assert.ok(written <= at, "a write was taken before the batch before it");
    release();
    await until("its end", () => sent.length === at + 1);
  }
  await writing;
  assert.equal(most, 1);
});

Deno.test("what an earlier agent has sent is not sent again, but counts and stands in the result", async () => {
  const { made, sent } = output();
  made.recall(bytesOf("one\ntwo\n"));
  assert.equal(made.safeBytes, 8);
  await made.write("out", bytesOf("three\n"));
  await made.end();
  assert.deepEqual(sent.map((draft) => [header(draft, "logOffset"), textOf(draft.payload)]), [["8", "three\n"], [
    "14",
    "",
  ]]);
  assert.equal(header(sent.at(-1) as Draft, "logEnd"), "14");
  const { head, bytes, lines } = made.summary();
  assert.deepEqual([head, bytes, lines], ["one\ntwo\nthree\n", 14, 3]);
});

Deno.test("what was thrown away before it came here is a gap at the end", async () => {
  const { made, sent } = output();
  await made.write("out", bytesOf("one\n"));
  await made.lose(1_000);
  await made.end();
  const last = sent.at(-1) as Draft;
  assert.deepEqual(["logOffset", "logGap", "logEnd"].map((name) => header(last, name as keyof typeof HEADER)), [
    "1004",
    "1000",
    "1004",
  ]);
  const { head, bytes, truncated } = made.summary();
  assert.deepEqual([head, bytes, truncated], ["one\n", 1_004, true]);
});
