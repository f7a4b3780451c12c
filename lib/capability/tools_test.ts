import assert from "node:assert/strict";
import type { Capability } from "./define.ts";
import { resolveTools } from "./tools.ts";

const UNIX = { ignore: Deno.build.os === "windows" };

Deno.test(
  "the first candidate on PATH is taken, known paths before all, and only what is required is missed",
  UNIX,
  async () => {
    const dir = await Deno.realPath(await Deno.makeTempDir());
    try {
      for (const name of ["podman", "extra"]) await Deno.writeTextFile(`${dir}/${name}`, "", { mode: 0o755 });
      await Deno.writeTextFile(`${dir}/docker`, "no program", { mode: 0o644 });
      const tools = {
        container: ["docker", "podman"],
        "extra?": ["extra"],
        "absent?": ["absent"],
        needed: ["needed", "needed2"],
        task: ["task"],
      };
      const capability = { name: "x", summary: "X", permissions: () => ({}), verbs: {}, tools } satisfies Capability;
      assert.deepEqual(resolveTools(capability, { env: { PATH: dir }, known: { task: "/known/task" } }), {
        tools: { container: `${dir}/podman`, extra: `${dir}/extra`, task: "/known/task" },
        missing: ["needed or needed2"],
      });
      assert.deepEqual(resolveTools(capability, { env: {} }).missing, [
        "docker or podman",
        "needed or needed2",
        "task",
      ]);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
);

Deno.test("a capability without tools misses none", () => {
  const capability: Capability = { name: "x", summary: "X", permissions: () => ({}), verbs: {} };
  assert.deepEqual(resolveTools(capability, { env: {} }), { tools: {}, missing: [] });
});

Deno.test("with lazy, an optional tool is looked for when it is read", UNIX, async () => {
  const dir = await Deno.realPath(await Deno.makeTempDir());
  try {
    const tools = { "late?": ["late"], "absent?": ["absent"], needed: ["needed"] };
    const capability = { name: "x", summary: "X", permissions: () => ({}), verbs: {}, tools } satisfies Capability;
    const found = resolveTools(capability, { env: { PATH: dir }, lazy: true });
    assert.deepEqual(found.missing, ["needed"]);
    await Deno.writeTextFile(`${dir}/late`, "", { mode: 0o755 });
    assert.deepEqual({ ...found.tools }, { late: `${dir}/late`, absent: undefined });
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
