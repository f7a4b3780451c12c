import assert from "node:assert/strict";
import { parseDuration } from "./duration.ts";

Deno.test("durations are read in their units", () => {
  const meant = {
    "250ms": 250,
    "90s": 90_000,
    "10m": 600_000,
    "2h": 7_200_000,
    "1d": 86_400_000,
    " 5s ": 5_000,
    "0s": 0,
  };
  for (const [text, ms] of Object.entries(meant)) assert.equal(parseDuration(text), ms, text);
});

Deno.test("what is no duration is refused, with what was expected", () => {
  for (const text of ["", "10", "s", "-5s", "1.5h", "1h30m", "10 m", "5S", "1e3s", "9999999999s", "5s\n5s", "٣s"]) {
    assert.throws(
      () => parseDuration(text),
      { code: "invalid", details: ["expected such as 90s, 10m, 2h or 1d"] },
      text,
    );
  }
});

Deno.test("a hundred years are the longest, so that what is reckoned from it is a date", () => {
  assert.equal(parseDuration("36500d"), 36_500 * 86_400_000);
  for (const text of ["36501d", "999999999d"]) assert.throws(() => parseDuration(text), { code: "invalid" }, text);
  assert.ok(!Number.isNaN(new Date(Date.now() + parseDuration("36500d")).getTime()));
});
