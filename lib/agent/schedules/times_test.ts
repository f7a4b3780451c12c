import assert from "node:assert/strict";
import { XtaskError } from "../../protocol/error.ts";
import { assertTimes, dueAt, nextAfter } from "./times.ts";

const at = (text: string) => Date.parse(text);
const nightly = { cron: "30 2 * * *", zone: "Europe/Berlin" };

Deno.test("times are told in the schedule's own zone, also where the clock jumps", () => {
  const winter = nextAfter(nightly, at("2026-01-10T12:00:00Z"));
  assert.equal(winter, at("2026-01-11T01:30:00Z"));
  const summer = nextAfter(nightly, at("2026-07-10T12:00:00Z"));
  assert.equal(summer, at("2026-07-11T00:30:00Z"));
  // 02:30 is not there in that night: it is the moment at which clocks jump over it.
  const jumps = nextAfter(nightly, at("2026-03-28T12:00:00Z"));
  assert.equal(jumps, at("2026-03-29T01:00:00Z"));
  assert.equal(nextAfter(nightly, jumps ?? 0), at("2026-03-30T00:30:00Z"));
  // 02:30 is there twice.
  const twice = nextAfter(nightly, at("2026-10-24T12:00:00Z")) ?? 0;
  assert.equal(nextAfter(nightly, twice), at("2026-10-26T01:30:00Z"));
});

Deno.test("what is due is the newest time that has come, and whether nobody looked", () => {
  const hourly = { cron: "0 * * * *", zone: "UTC" };
  const after = at("2026-01-10T12:00:00Z");
  assert.equal(dueAt(hourly, after, at("2026-01-10T12:59:59.999Z")), undefined);
  assert.deepEqual(dueAt(hourly, after, at("2026-01-10T13:00:00Z")), { at: at("2026-01-10T13:00:00Z"), late: false });
  assert.deepEqual(dueAt(hourly, after, at("2026-01-10T13:00:30Z")), { at: at("2026-01-10T13:00:00Z"), late: false });
  assert.deepEqual(dueAt(hourly, after, at("2026-01-10T16:20:00Z")), { at: at("2026-01-10T16:00:00Z"), late: true });
  assert.equal(
    dueAt(hourly, after, at("2026-01-10T10:00:00Z")),
    undefined,
    "a clock that was set back runs nothing twice",
  );
});

Deno.test("what tells no times is refused with what to write", () => {
  const now = at("2026-01-10T12:00:00Z");
  const refused = (cron: string, zone = "UTC") => {
    assert.throws(() => assertTimes({ cron, zone }, now), (error) => {
      assert.ok(error instanceof XtaskError && error.code === "invalid", String(error));
      return true;
    });
  };
  for (const cron of ["", "hello", "* * *", "61 * * * *", "* * * * * *", "0 0 30 2 *", "@reboot"]) refused(cron);
  refused("0 3 * * *", "Mars/Olympus");
  assertTimes({ cron: "@daily", zone: "UTC" }, now);
  assertTimes({ cron: "30 3 * * mon-fri", zone: "America/New_York" }, now);
});
