import assert from "node:assert/strict";
import { pathsOf } from "./paths.ts";

const where = (env: Record<string, string>, os: typeof Deno.build.os) => pathsOf((name) => env[name], os);

Deno.test("XTASK_HOME holds everything, on every system", () => {
  for (const os of ["linux", "darwin", "windows"] as const) {
    assert.deepEqual(where({ XTASK_HOME: "/x", HOME: "/home/ann", XDG_DATA_HOME: "/d" }, os), {
      data: "/x",
      config: "/x/config",
    });
  }
});

Deno.test("without it each system's own folders are used", () => {
  assert.deepEqual(where({ HOME: "/home/ann" }, "linux"), {
    data: "/home/ann/.local/share/xtask",
    config: "/home/ann/.config/xtask",
  });
  assert.deepEqual(where({ HOME: "/home/ann", XDG_DATA_HOME: "/d", XDG_CONFIG_HOME: "/c" }, "linux"), {
    data: "/d/xtask",
    config: "/c/xtask",
  });
  assert.deepEqual(where({ HOME: "/Users/ann" }, "darwin"), {
    data: "/Users/ann/Library/Application Support/xtask",
    config: "/Users/ann/Library/Application Support/xtask/config",
  });
  const user = String.raw`C:\Users\ann`;
  assert.deepEqual(
    where(
      { USERPROFILE: user, LOCALAPPDATA: `${user}\\AppData\\Local`, APPDATA: `${user}\\AppData\\Roaming` },
      "windows",
    ),
    { data: `${user}\\AppData\\Local\\xtask`, config: `${user}\\AppData\\Roaming\\xtask` },
  );
  assert.deepEqual(where({ USERPROFILE: user }, "windows"), {
    data: `${user}\\AppData\\Local\\xtask`,
    config: `${user}\\AppData\\Local\\xtask`,
  });
});

Deno.test("a variable that is set to nothing counts as not set", () => {
  assert.deepEqual(where({ XTASK_HOME: "", XDG_DATA_HOME: "", XDG_CONFIG_HOME: "", HOME: "/home/ann" }, "linux"), {
    data: "/home/ann/.local/share/xtask",
    config: "/home/ann/.config/xtask",
  });
});
