import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { tarGz, type TestEntry, zip } from "./archives_for_tests.ts";
import { extract, type ExtractOptions } from "./extract.ts";
import { type Ground, isError, testGround } from "./ground_for_tests.ts";
import { EXTRACT_LIMITS } from "./tree.ts";

const FORMATS = { tarGz, zip };

async function unpack(ground: Ground, archive: Uint8Array, options: Partial<ExtractOptions> = {}): Promise<number> {
  const path = `${ground.outside}/archive`;
  await Deno.writeFile(path, archive);
  const into = `${ground.dir}/tree`;
  await Deno.mkdir(into);
  try {
    return await extract(path, into, { windows: false, signal: new AbortController().signal, ...options });
  } finally {
    const names = [...Deno.readDirSync(ground.outside)].map(({ name }) => name);
    assert.deepEqual(names, ["archive"], "nothing may be written outside");
    assert.deepEqual([...Deno.readDirSync(ground.dir)].map(({ name }) => name), ["tree"]);
  }
}

Deno.test("files and folders are extracted with their content and, of their modes, the executable bit", async () => {
  const entries: TestEntry[] = [
    { name: "tool/" },
    { name: "tool/bin/run", content: "#!/bin/sh\n", mode: 0o6755 },
    { name: "tool/empty", content: "" },
    { name: "tool/äb:c", content: "text", mode: 0o600 },
    { name: "tool/none/" },
  ];
  for (const [format, pack] of Object.entries(FORMATS)) {
    await using ground = await testGround();
    // The zip of these tests is made byte by byte, so that its names are ASCII.
    const packed = await pack(entries.map((entry) => ({ ...entry, name: entry.name.replace("ä", "a") })));
    assert.equal(await unpack(ground, packed), 5, format);
    const names = "tree tree/tool tree/tool/ab:c tree/tool/bin tree/tool/bin/run tree/tool/empty tree/tool/none";
    assert.deepEqual(await ground.files(), names.split(" "));
    assert.equal(await Deno.readTextFile(`${ground.dir}/tree/tool/bin/run`), "#!/bin/sh\n");
    if (Deno.build.os === "windows") continue;
    const modeOf = async (name: string) => (await Deno.stat(`${ground.dir}/tree/tool/${name}`)).mode ?? 0;
    assert.equal(await modeOf("bin/run") & 0o7000, 0, "setuid and setgid are dropped");
    assert.equal(await modeOf("bin/run") & 0o100, 0o100);
    assert.equal(await modeOf("ab:c") & 0o111, 0);
  }
});

Deno.test("names with './' in front, long names and gzip files of several members are read", async () => {
  await using ground = await testGround();
  const long = `${"d".repeat(150)}/${"f".repeat(150)}`;
  const archive = await tarGz([{ name: "./" }, { name: "./a", content: "a" }, { name: long, content: "b" }]);
  const tar = new Uint8Array(
    await new Response(new Blob([archive]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer(),
  );
  const members = new Uint8Array(
    await new Blob([new Uint8Array(gzipSync(tar.slice(0, 700))), new Uint8Array(gzipSync(tar.slice(700)))])
      .arrayBuffer(),
  );
  assert.equal(await unpack(ground, members), 2);
  assert.equal(await Deno.readTextFile(`${ground.dir}/tree/${long}`), "b");
});

Deno.test("an archive is refused for a name that leads out or cannot be told from another", async () => {
  const names = [
    "../evil",
    "a/../../evil",
    "a/..",
    "/tmp/evil",
    "//evil",
    "..\\evil",
    "a\\b",
    "C:evil",
    "C:/evil",
    "a//b",
    "a/./b",
  ];
  for (const [format, pack] of Object.entries(FORMATS)) {
    for (const name of names) {
      await using ground = await testGround();
      const archive = await pack([{ name: "good", content: "x" }, { name, content: "evil" }]);
      await assert.rejects(unpack(ground, archive), isError("invalid", /entry/), `${format} ${name}`);
    }
    await using ground = await testGround();
    const twice = await pack([{ name: "same", content: "1" }, { name: "same", content: "2" }]);
    await assert.rejects(unpack(ground, twice), isError("invalid", /twice/), format);
  }
  await using ground = await testGround();
  // A zip has no such names: its old encoding has a picture for each control character.
  await assert.rejects(unpack(ground, await tarGz([{ name: "a\nb", content: "x" }])), isError("invalid", /control/));
});

Deno.test("names that only Windows reads differently are refused there alone", async () => {
  for (const name of ["NUL", "ab:c", "x."]) {
    await using there = await testGround();
    const archive = await tarGz([{ name, content: "x" }]);
    await assert.rejects(unpack(there, archive, { windows: true }), isError("invalid"), name);
    if (Deno.build.os === "windows") continue;
    await using here = await testGround();
    assert.equal(await unpack(here, archive), 1);
  }
});

Deno.test("a file where a folder is needed is refused, either way round", async () => {
  for (const [format, pack] of Object.entries(FORMATS)) {
    for (const names of [["abc", "abc/d"], ["abc/d", "abc"]]) {
      await using ground = await testGround();
      const archive = await pack(names.map((name) => ({ name, content: "x" })));
      await assert.rejects(unpack(ground, archive), isError("invalid"), `${format} ${names}`);
    }
  }
});

Deno.test("links, devices, pipes and sparse files are refused, wherever they point", async () => {
  const entries: TestEntry[] = [
    { name: "l", type: "symlink", target: "/etc/passwd" },
    { name: "l", type: "symlink", target: "inside" },
    { name: "l", type: "link", target: "../outside" },
    { name: "l", type: "character-device" },
    { name: "l", type: "block-device" },
    { name: "l", type: "fifo" },
    { name: "l", content: "x", pax: { "GNU.sparse.major": "1" } },
  ];
  for (const entry of entries) {
    await using ground = await testGround();
    await assert.rejects(unpack(ground, await tarGz([entry])), isError("invalid", /entry "l" is a/), entry.type);
  }
  for (const mode of [0o120777, 0o020666, 0o060666, 0o010644, 0o140755]) {
    await using ground = await testGround();
    await assert.rejects(
      unpack(ground, await zip([{ name: "link", content: "/etc/passwd", mode }])),
      isError("invalid", /link or a device/),
    );
  }
});

Deno.test("a link and then a file through it write nothing outside", async () => {
  await using ground = await testGround();
  const archive = await tarGz([{ name: "l", type: "symlink", target: ground.outside }, {
    name: "l/evil",
    content: "x",
  }]);
  await assert.rejects(unpack(ground, archive), isError("invalid"));
});

Deno.test("bombs are stopped early by their ratio, total size or number of entries", async () => {
  const zeros = new Uint8Array(16 * 1024 ** 2);
  for (const [format, pack] of Object.entries(FORMATS)) {
    const bomb = await pack([{ name: "zeros", content: zeros }]);
    assert(bomb.length < 100_000);
    await using ground = await testGround();
    await assert.rejects(unpack(ground, bomb), isError("exhausted", /200 times/), format);
    const { size } = await Deno.stat(`${ground.dir}/tree/zeros`);
    assert(size <= bomb.length * 200 + 1024 ** 2, `${size} bytes were written`);

    await using small = await testGround();
    const mebibyte = await pack([{ name: "zeros", content: zeros.slice(0, 1024 ** 2) }]);
    assert.equal(await unpack(small, mebibyte), 1, "what is small is no bomb");

    await using large = await testGround();
    const limits = { ...EXTRACT_LIMITS, bytes: 15 };
    const two = await pack([{ name: "first", content: "0123456789" }, { name: "second", content: "0123456789" }]);
    await assert.rejects(unpack(large, two, { limits }), isError("exhausted", /15 bytes/), format);

    await using many = await testGround();
    await assert.rejects(
      unpack(many, two, { limits: { ...EXTRACT_LIMITS, entries: 1 } }),
      isError("exhausted", /1 entries/),
      format,
    );
  }
});

Deno.test("what is damaged, cut or no archive at all is refused", async () => {
  const entries = [{ name: "first", content: crypto.getRandomValues(new Uint8Array(5000)) }, {
    name: "second",
    content: "b",
  }];
  for (const [format, pack] of Object.entries(FORMATS)) {
    const archive = await pack(entries);
    for (const at of [archive.length - 30, archive.length >> 1, 20]) {
      await using ground = await testGround();
      await assert.rejects(unpack(ground, archive.slice(0, at)), isError("invalid"), `${format} cut at ${at}`);
    }
    await using ground = await testGround();
    const damaged = archive.slice();
    damaged[2500] = (damaged[2500] ?? 0) ^ 0xff;
    await assert.rejects(unpack(ground, damaged), isError("invalid"), format);
  }
  for (const text of ["", "PK", "<html>", "\u007fELF"]) {
    await using ground = await testGround();
    await assert.rejects(unpack(ground, new TextEncoder().encode(text)), isError("invalid", /no archive/));
  }
});

Deno.test("whatever the bytes, an archive is extracted or refused, and nothing is written outside", async () => {
  const [tar, zipped] = [await tarGz([{ name: "first", content: "x" }]), await zip([{ name: "first", content: "x" }])];
  await fc.assert(
    fc.asyncProperty(
      fc.boolean(),
      fc.array(fc.tuple(fc.nat(400), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
      async (isTar, edits) => {
        const archive = (isTar ? tar : zipped).slice();
        for (const [at, byte] of edits) archive[at % archive.length] = byte;
        await using ground = await testGround();
        try {
          await unpack(ground, archive);
        } catch (error) {
          assert(error instanceof Error && "code" in error, `${error}`);
          assert(error.code === "invalid" || error.code === "exhausted", `${error}`);
        }
      },
    ),
    { numRuns: 100 },
  );
});

Deno.test("cancelling stops an extraction with its reason", async () => {
  const reason = new Error("enough");
  for (const [format, pack] of Object.entries(FORMATS)) {
    await using ground = await testGround();
    const archive = await pack([{ name: "first", content: crypto.getRandomValues(new Uint8Array(60_000)) }]);
    await assert.rejects(unpack(ground, archive, { signal: AbortSignal.abort(reason) }), reason, format);
  }
});
