import assert from "node:assert/strict";
import { until } from "../../../tests/until.ts";
import { TAB_BYTES_MAX } from "../../protocol/limits.ts";
import type { Frame } from "../../../ui/frame.ts";
import { tabStream } from "./tab.ts";

/** Of 10 ms each: several frames long. */
const STEPS = 20;

/** A tab that shows a text, which the test changes. */
function tab(text: string) {
  const stop = new AbortController();
  const listeners = new Set<() => void>();
  const seen = { made: 0, ends: 0, troubles: [] as unknown[] };
  let frames = (): readonly Frame[] => [{ id: "x", parts: [], html: `<p id="x">${text}</p>` }];
  const stream = tabStream({
    frames() {
      seen.made++;
      return frames();
    },
    onChange(hear) {
      listeners.add(hear);
      return { [Symbol.dispose]: () => void listeners.delete(hear) };
    },
    signal: stop.signal,
    onEnd: () => void seen.ends++,
    onTrouble: (error) => void seen.troubles.push(error),
  });
  const changed = () => listeners.forEach((hear) => hear());
  return {
    stream,
    seen,
    stop,
    changed,
    get heardBy() {
      return listeners.size;
    },
    show(next: string) {
      text = next;
      changed();
    },
    showing(make: () => readonly Frame[]) {
      frames = make;
      changed();
    },
  };
}

const reading = (stream: ReadableStream<Uint8Array<ArrayBuffer>>) => {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  return { next: async () => (await reader.read()).value, cancel: () => reader.cancel() };
};

Deno.test("a tab is shown what there is, then what changes, many changes at once", async () => {
  const one = tab("first");
  const { next, cancel } = reading(one.stream);
  assert.match(await next() ?? "", /^event: datastar-patch-elements\n.*first/s);
  for (let count = 0; count <= 1_000; count++) one.show(`number ${count}`);
  assert.match(await next() ?? "", /number 1000/);
  assert.equal(one.seen.made, 2, "a thousand changes within one frame are one");
  one.changed();
  one.show("last");
  assert.match(await next() ?? "", /last/, "where nothing has changed nothing is sent");
  await cancel();
  assert.deepEqual([one.seen.ends, one.heardBy, one.seen.troubles], [1, 0, []]);
});

Deno.test("what a tab does not take is not added to; when it takes again it gets the newest", async () => {
  const large = "x".repeat(TAB_BYTES_MAX / 2);
  const one = tab(`0 ${large}`);
  let shown = 0;
  let [made, same] = [-1, 0];
  await until("no frame to be made any more, however often something changes", () => {
    one.show(`${++shown} ${large}`);
    [made, same] = [one.seen.made, made === one.seen.made ? same + 1 : 0];
    return same >= STEPS;
  });
  assert.ok(one.seen.made <= 4, `${one.seen.made} frames of half of what a tab may have on its way`);
  const { next, cancel } = reading(one.stream);
  let [bytes, text] = [0, ""];
  while (!text.includes(`>${shown} x`)) {
    text = await next() ?? "";
    bytes += text.length;
  }
  assert.ok(bytes < 3 * TAB_BYTES_MAX, `${bytes} bytes for ${shown} states of ${large.length}`);
  await cancel();
});

Deno.test("a frame that cannot be made is told, and made again later though nothing changes", async () => {
  const one = tab("first");
  const { next, cancel } = reading(one.stream);
  await next();
  let away = true;
  one.showing(() => {
    if (away) throw new Error("the hub is away");
    return [{ id: "x", parts: [], html: '<p id="x">again</p>' }];
  });
  await until("the trouble to be told", () => one.seen.troubles.length === 1);
  away = false;
  assert.match(await next() ?? "", /again/);
  await cancel();
  assert.equal(one.seen.troubles.length, 1);
});

Deno.test("a stream ends with its session, once, also one that never began", async () => {
  const one = tab("first");
  const { next } = reading(one.stream);
  await next();
  one.stop.abort();
  assert.equal(await next(), undefined);
  one.changed();
  assert.deepEqual([one.seen.ends, one.heardBy], [1, 0]);

  const stop = AbortSignal.abort();
  let ends = 0;
  const none = tabStream({
    frames: () => assert.fail("nobody is there to be shown anything"),
    onChange: () => assert.fail("nor to hear of changes"),
    signal: stop,
    onEnd: () => void ends++,
    onTrouble: () => {},
  });
  assert.equal(await reading(none).next(), undefined);
  assert.equal(ends, 1);
});
