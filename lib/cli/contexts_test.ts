import assert from "node:assert/strict";
import { dirname } from "node:path";
import { type Contexts, contextsIn } from "./contexts.ts";

async function inFolder(act: (contexts: Contexts, config: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await act(contextsIn(`${dir}/config`), `${dir}/config`);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const hub = (name: string) => ({ name, url: `nats://${name}:4222`, project: "default" });

Deno.test("where nothing was ever saved there are no contexts, and none is current", () =>
  inFolder(async (contexts) => {
    assert.deepEqual(await contexts.list(), []);
    assert.equal(await contexts.current(), undefined);
    await assert.rejects(contexts.get("home"), { code: "not_found" });
    await assert.rejects(contexts.use("home"), { code: "not_found" });
    await assert.rejects(contexts.remove("home"), { code: "not_found" });
  }));

Deno.test("a context is kept whole, becomes the current one, and can be replaced", () =>
  inFolder(async (contexts) => {
    const saved = await contexts.save({ ...hub("home"), http: "http://home:8222" }, {
      creds: "secret 1",
      ca: "authority",
    });
    assert.deepEqual(await contexts.get("home"), saved);
    assert.equal(await Deno.readTextFile(saved.creds ?? ""), "secret 1");
    assert.equal(await Deno.readTextFile(saved.ca ?? ""), "authority");
    await contexts.save(hub("work.eu-1"), { creds: "secret 2" });
    assert.equal(await contexts.current(), "work.eu-1");
    await contexts.use("home");
    assert.equal(await contexts.current(), "home");
    assert.deepEqual((await contexts.list()).map(({ name }) => name), ["home", "work.eu-1"]);
    const replaced = await contexts.save(hub("home"), { creds: "secret 3" });
    assert.deepEqual(await contexts.get("home"), replaced);
    assert.equal(replaced.http, undefined);
    assert.equal(await Deno.readTextFile(replaced.creds ?? ""), "secret 3");
  }));

Deno.test("contexts and credentials are for their owner alone", () =>
  inFolder(async (contexts, config) => {
    if (Deno.build.os === "windows") return;
    const { creds } = await contexts.save(hub("home"), { creds: "secret" });
    const modeOf = async (path: string) => ((await Deno.stat(path)).mode ?? 0) & 0o777;
    assert.equal(await modeOf(creds ?? ""), 0o600);
    assert.equal(await modeOf(`${config}/contexts/home.json`), 0o600);
    assert.equal(await modeOf(`${config}/contexts`), 0o700);
  }));

Deno.test("a context that is removed takes its credential along, and is current no more", () =>
  inFolder(async (contexts, config) => {
    await contexts.save(hub("home"), { creds: "secret 1" });
    await contexts.save(hub("work"), { creds: "secret 2", ca: "authority" });
    await contexts.remove("home");
    assert.equal(await contexts.current(), "work", "another stays current");
    await contexts.remove("work");
    assert.equal(await contexts.current(), undefined);
    assert.deepEqual(Array.from(Deno.readDirSync(`${config}/contexts`)), []);
  }));

Deno.test("a name that leads elsewhere is refused and nothing is written", () =>
  inFolder(async (contexts, config) => {
    for (const name of ["../out", "a/b", "", ".hidden", "a b", "x".repeat(64)]) {
      await assert.rejects(
        contexts.save(hub(name), { creds: "secret" }),
        { name: "XtaskError", code: "invalid" },
        name,
      );
      await assert.rejects(contexts.get(name), { code: "not_found" });
    }
    assert.deepEqual(Array.from(Deno.readDirSync(dirname(config))), []);
    assert.deepEqual(await contexts.list(), []);
  }));

Deno.test("a context that somebody spoilt is refused by its name", () =>
  inFolder(async (contexts, config) => {
    await contexts.save(hub("home"), { creds: "secret" });
    await Deno.writeTextFile(`${config}/contexts/home.json`, "{");
    await assert.rejects(contexts.get("home"), { code: "invalid", message: /context home/ });
  }));
