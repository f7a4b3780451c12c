import assert from "node:assert/strict";
import { writeSecretFile } from "./secret_file.ts";

const namesIn = (dir: string) => Array.from(Deno.readDirSync(dir), ({ name }) => name).sort();

Deno.test("a secret file is its owner's alone, also where one that all could read stood before", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const path = `${dir}/user.creds`;
    await Deno.writeTextFile(path, "old", { mode: 0o644 });
    await writeSecretFile(path, "new");
    assert.equal(await Deno.readTextFile(path), "new");
    if (Deno.build.os !== "windows") assert.equal(((await Deno.stat(path)).mode ?? 0) & 0o777, 0o600);
    assert.deepEqual(namesIn(dir), ["user.creds"]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("a secret that cannot be written is left nowhere", async () => {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.mkdir(`${dir}/taken/inside`, { recursive: true });
    await assert.rejects(writeSecretFile(`${dir}/taken`, "secret"));
    assert.deepEqual(namesIn(dir), ["taken"]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});

Deno.test("writers at once leave one text whole", async () => {
  const dir = await Deno.makeTempDir();
  try {
    const texts = Array.from({ length: 20 }, (_, at) => String(at).repeat(10_000));
    await Promise.all(texts.map((text) => writeSecretFile(`${dir}/f`, text)));
    assert.ok(texts.includes(await Deno.readTextFile(`${dir}/f`)));
    assert.deepEqual(namesIn(dir), ["f"]);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
