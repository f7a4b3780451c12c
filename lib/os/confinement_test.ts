import assert from "node:assert/strict";
import { cgroupPath, confinementHere } from "./confinement.ts";
import { probe } from "./probe.ts";

Deno.test("the cgroup of the unified hierarchy is read from among the older ones", () => {
  assert.equal(cgroupPath("8:pids:/a\n0::/user.slice/b.scope\n"), "/user.slice/b.scope");
  assert.equal(cgroupPath("0::/\n"), "");
  assert.equal(cgroupPath("8:pids:/a\n"), undefined);
});

Deno.test("every system has its own means, and Windows none that could be asked for", async () => {
  assert.deepEqual(await confinementHere("windows"), []);
  assert.deepEqual((await confinementHere("linux")).map(({ name }) => name), [
    "user namespaces",
    "landlock",
    "cgroup v2",
  ]);
  assert.deepEqual((await confinementHere("darwin")).map(({ name }) => name), ["sandbox-exec"]);
});

Deno.test(
  "a program that is not there is told from one that fails",
  { ignore: Deno.build.os === "windows" },
  async () => {
    assert.equal(await probe("no-such-program-here"), undefined);
    assert.equal((await probe("false"))?.success, false);
    assert.deepEqual(await probe("echo", "a b"), { success: true, text: "a b\n" });
  },
);
