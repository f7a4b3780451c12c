import assert from "node:assert/strict";
import { STREAMS_MAX, STREAMS_PER_CALLER_MAX } from "../protocol/limits.ts";
import { createStreams } from "./streams.ts";

const caller = (number: number) => ({ key: `caller ${number}` });

Deno.test("a caller has so many places and no more, until one is given back", () => {
  const streams = createStreams();
  const places = Array.from({ length: STREAMS_PER_CALLER_MAX }, () => streams.take(caller(1)));
  assert.throws(() => streams.take(caller(1)), { code: "exhausted", message: /^You have \d+ event streams open/ });
  streams.take(caller(2))[Symbol.dispose]();
  assert.equal(streams.open, STREAMS_PER_CALLER_MAX);
  places[0]?.[Symbol.dispose]();
  places[0]?.[Symbol.dispose]();
  assert.equal(streams.open, STREAMS_PER_CALLER_MAX - 1, "a place that is given back twice is one place");
  streams.take(caller(1));
  assert.throws(() => streams.take(caller(1)), { code: "exhausted" });
});

Deno.test("all together have so many and no more, and who has none is told so", () => {
  const streams = createStreams();
  const places = Array.from({ length: STREAMS_MAX }, (_, at) => streams.take(caller(at)));
  assert.throws(() => streams.take(caller(-1)), { code: "exhausted", message: /^\d+ event streams are open/ });
  for (const place of places) place[Symbol.dispose]();
  assert.equal(streams.open, 0);
  streams.take(caller(-1));
});
